import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

import { openLog } from "../src/base/log.ts";
import type { Upstream } from "../src/engine/networks/dns/resolver.ts";
import { closeBoth } from "../src/kernel/net/name-sockets.ts";
import { openKernelWorker } from "../src/kernel/net/kernel-worker.ts";
import { addressAnswer, exchange, lookUp, openClient, openNameServer, queryFor } from "../e2e/network/name-server.ts";
import { openTestNetworks, workerPath, type TestContainer } from "../e2e/network/networks.ts";
import { openTopology } from "../e2e/network/topology.ts";
import { median } from "./measure.ts";

/**
 * How many questions the name server of containers answers, and what it costs to have one. As root, after `npm run build`:
 *
 *     node bench/dns.ts
 *
 * Networks of their own in a network namespace of its own; questions are asked by this process in a container's namespace, 64 under way at a
 * time. `a core` is what the DNS thread alone would do on a core of its own: its questions by the processor time it took.
 */
const ROUND_MS = 2000;
const UNDER_WAY = 64;
const CONTAINERS = 200;

await using cleanUp = new AsyncDisposableStack();
const topology = await openTopology();
cleanUp.defer(() => topology.close());
const daemon = await openTestNetworks(path.join(topology.folder, "daemon"));
cleanUp.defer(() => daemon.close());
await daemon.createNetwork({ Name: "front", IPAM: { Config: [{ Subnet: "10.111.0.0/16" }] } });
const upstreams: Upstream[] = [{ address: "192.0.2.2", fromHost: false }];
const outside = await openNameServer(path.join(topology.folder, "outside"), "192.0.2.2", (query) => [addressAnswer(query, "198.51.100.9")]);
cleanUp.defer(() => outside.close());

async function add(name: string): Promise<TestContainer> {
  return daemon.add({ name, networks: ["front"], dnsNames: [name, "all"] });
}
const serve = (container: TestContainer): Promise<void> =>
  daemon.networks.serveNames(container.id, { upstreams, keepsSingleLabels: false });

const begin = performance.now();
const first = await add("first");
await serve(first);
await lookUp(first.file, "first");
console.log(`the first answer, the thread's start included: ${(performance.now() - begin).toFixed(1)} ms`);

const [joins, serves]: [number[], number[]] = [[], []];
const containers = [first];
for (let number = 1; number < CONTAINERS; number += 1) {
  const before = performance.now();
  const container = await add(`c${number}`);
  const joined = performance.now();
  await serve(container);
  joins.push(joined - before);
  serves.push(performance.now() - joined);
  containers.push(container);
}
console.log(
  `joining a network: ${median(joins).toFixed(2)} ms, its name server ${median(serves).toFixed(2)} ms more (medians of ${joins.length})`,
);

await rate("UDP, a container's name", () => byDatagram("c7"));
await rate("UDP, a name of all 200 (EDNS 4096)", () => byDatagram("all", 4096));
await rate("UDP, forwarded", () => byDatagram("example.com"));
await rate("TCP, a connection each", byConnection);

// As the next daemon does it: over the rules of the last one.
await daemon.networks[Symbol.asyncDispose]();
const kernel = await openKernelWorker(workerPath, openLog("bench", "fatal"));
cleanUp.use(kernel);
const again = performance.now();
for (const { file } of containers) closeBoth(await kernel.call("openNameSockets", file));
console.log(`${CONTAINERS} opened again: ${(performance.now() - again).toFixed(0)} ms`);

async function rate(what: string, run: () => Promise<number>): Promise<void> {
  const [cpuMs, since] = [dnsThreadMs(), performance.now()];
  const answered = await run();
  const [seconds, cpuSeconds] = [(performance.now() - since) / 1000, (dnsThreadMs() - cpuMs) / 1000];
  const perSecond = (time: number): string => String(Math.round(answered / time)).padStart(6);
  console.log(`${what.padEnd(36)}${perSecond(seconds)} a second, ${perSecond(cpuSeconds)} a core`);
}

/** Keeps as many questions under way; an answer lost is made up for after a while. */
async function byDatagram(name: string, size?: number): Promise<number> {
  const client = openClient(first.file);
  const query = queryFor(name, size === undefined ? {} : { size });
  const ask = (): void => client.send(query, 53, "127.0.0.11");
  let answered = 0;
  client.on("message", () => {
    answered += 1;
    ask();
  });
  for (let count = 0; count < UNDER_WAY; count += 1) ask();
  await new Promise((resolve) => setTimeout(resolve, ROUND_MS));
  client.removeAllListeners("message");
  client.close();
  return answered;
}

async function byConnection(): Promise<number> {
  const end = performance.now() + ROUND_MS;
  let answered = 0;
  const keepAsking = async (): Promise<void> => {
    while (performance.now() < end) {
      await exchange(first.file, queryFor("c7"), { protocol: "tcp" });
      answered += 1;
    }
  };
  await Promise.all(Array.from({ length: UNDER_WAY }, keepAsking));
  return answered;
}

/** Processor time of the DNS thread, in the kernel too. */
function dnsThreadMs(): number {
  for (const id of readdirSync("/proc/self/task")) {
    const stat = readFileSync(`/proc/self/task/${id}/stat`, "utf8");
    if (!stat.includes("(dns)")) continue;
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 10;
  }
  throw new Error("there is no DNS thread");
}
