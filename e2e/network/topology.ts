import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import path from "node:path";

import { libc } from "../../src/kernel/ffi.ts";
import { createNamespace, removeNamespace } from "../../src/kernel/net/netns.ts";
import { run } from "../../src/testing/run.ts";
import type { Command } from "./agent.ts";

/**
 * Hosts made of network namespaces. The test process itself moves into a namespace of its own first and is "the host" there, so nothing
 * it does is seen by the machine's own network. Outside hosts hang on links of theirs:
 *
 *     outside  192.0.2.2, fd00:2::2  ─── up0  192.0.2.1, fd00:2::1  host  up1  198.51.100.1 ─── farther  198.51.100.2
 */
export interface Topology {
  /** A temporary folder, and the namespaces of the outside hosts in it. */
  folder: string;
  host: Agent;
  outside: Agent;
  farther: Agent;
  /** An agent in the namespace kept at `file`. */
  agentIn(file: string): Promise<Agent>;
  close(): Promise<void>;
}

/** A process in one of the namespaces. */
export interface Agent {
  file: string | undefined;
  serve(protocol: "tcp" | "udp", host: string, port: number, name: string): Promise<void>;
  /** The answer (`NAME CLIENT-ADDRESS`), or why there was none: TIMEOUT, ECONNREFUSED, ENETUNREACH, … */
  ask(protocol: "tcp" | "udp", host: string, port: number, fromPort?: number): Promise<string>;
  /** Runs a program in the namespace. */
  sh(command: string): Promise<string>;
  close(): Promise<void>;
}

const CLONE_NEWNET = 0x40000000;

export async function openTopology(): Promise<Topology> {
  // Threads and children that are born from now on are born in there.
  const unshare = libc("int unshare(int flags)");
  if (unshare(CLONE_NEWNET) !== 0) throw new Error("unshare failed: these tests need root");
  const folder = mkdtempSync("/tmp/tsubo-network-");
  await sh(`ip link set lo up`);
  await sh(`sysctl -qw net.ipv4.ip_forward=0`);
  const agents: Agent[] = [];
  const agentIn = async (file: string | undefined): Promise<Agent> => {
    const agent = await openAgent(file);
    agents.push(agent);
    return agent;
  };
  const neighbour = async (name: string, link: string, host: string[], addresses: string[]): Promise<Agent> => {
    const file = path.join(folder, name);
    createNamespace(file, () => undefined);
    const agent = await agentIn(file);
    await sh(`ip link add ${link} type veth peer name eth0 netns ${await pidOf(agent)}`);
    for (const address of host) await sh(`ip addr add ${address} dev ${link} ${address.includes(":") ? "nodad" : ""}`);
    await sh(`ip link set ${link} up`);
    await agent.sh("ip link set lo up");
    for (const address of addresses) await agent.sh(`ip addr add ${address} dev eth0 ${address.includes(":") ? "nodad" : ""}`);
    await agent.sh("ip link set eth0 up");
    return agent;
  };
  const host = await agentIn(undefined);
  const outside = await neighbour("outside", "up0", ["192.0.2.1/24", "fd00:2::1/64"], ["192.0.2.2/24", "fd00:2::2/64"]);
  const farther = await neighbour("farther", "up1", ["198.51.100.1/24"], ["198.51.100.2/24"]);
  return {
    folder,
    host,
    outside,
    farther,
    agentIn,
    async close() {
      await Promise.all(agents.map((agent) => agent.close()));
      for (const name of ["outside", "farther"]) removeNamespace(path.join(folder, name));
      rmSync(folder, { recursive: true });
    },
  };
}

const processes = new WeakMap<Agent, ChildProcess>();

async function pidOf(agent: Agent): Promise<number> {
  return processes.get(agent)?.pid ?? 0;
}

async function openAgent(file: string | undefined): Promise<Agent> {
  const enter = file === undefined ? [] : ["nsenter", `--net=${file}`, "--"];
  const [program, ...args] = [...enter, process.execPath, path.join(import.meta.dirname, "agent.ts")];
  const child = spawn(program, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const waiting = new Map<number, { resolve: (answer: string) => void; reject: (error: Error) => void }>();
  let lastId = 0;
  await once(child, "message");
  child.on("message", (message: { id: number; answer?: string; error?: string }) => {
    const call = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.error === undefined) call?.resolve(message.answer ?? "");
    else call?.reject(new Error(message.error));
  });
  const tell = (command: Command): Promise<string> =>
    new Promise((resolve, reject) => {
      lastId += 1;
      waiting.set(lastId, { resolve, reject });
      child.send({ id: lastId, command });
    });
  const agent: Agent = {
    file,
    async serve(protocol, host, port, name) {
      await tell({ do: "serve", protocol, host, port, name });
    },
    ask: (protocol, host, port, fromPort) => tell({ do: "ask", protocol, host, port, ...(fromPort === undefined ? {} : { fromPort }) }),
    sh: (command) => sh(command, enter),
    async close() {
      if (child.exitCode !== null) return;
      const ended = once(child, "exit");
      child.disconnect();
      await ended;
    },
  };
  processes.set(agent, child);
  return agent;
}

/** Runs a command line of plain words; throws when it fails. */
export async function sh(command: string, enter: string[] = []): Promise<string> {
  const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? "");
  const { code, stdout, stderr } = await run([...enter, ...words]);
  if (code !== 0) throw new Error(`${command}: exit code ${code}: ${stderr}`);
  return stdout;
}
