import { mkdtempSync, rmSync } from "node:fs";
import path from "node:path";

import { libc } from "../../src/kernel/ffi.ts";
import { createNamespace, removeNamespace } from "../../src/kernel/net/netns.ts";
import { openHost, sh, type TestHost } from "./host.ts";

/**
 * Hosts made of network namespaces. The test process itself moves into a namespace of its own first and is "the host" there, so nothing
 * it does is seen by the machine's own network. Outside hosts hang on links of theirs:
 *
 *     outside  192.0.2.2     ─── up0  192.0.2.1  host  up1  198.51.100.1 ─── farther  198.51.100.2
 *              fd00:2::2              fd00:2::1             fd00:3::1                 fd00:3::2
 *
 * They know the ways through the host to each other and to the containers' networks, which they must not be let through.
 */
export interface Topology {
  /** A temporary folder. */
  folder: string;
  host: TestHost;
  outside: TestHost;
  farther: TestHost;
  close(): Promise<void>;
}

const CLONE_NEWNET = 0x40000000;

export async function openTopology(): Promise<Topology> {
  // Threads and children that are born from now on are born in there.
  const unshare = libc("int unshare(int flags)");
  if (unshare(CLONE_NEWNET) !== 0) throw new Error("unshare failed: these tests need root");
  await sh("ip link set lo up");
  await sh("sysctl -qw net.ipv4.ip_forward=0");
  const folder = mkdtempSync("/tmp/tsubo-network-");
  const host = openHost("/proc/thread-self/ns/net");
  const outside = await addNeighbour(
    path.join(folder, "outside"),
    "up0",
    ["192.0.2.1/24", "fd00:2::1/64"],
    ["192.0.2.2/24", "fd00:2::2/64"],
  );
  const farther = await addNeighbour(
    path.join(folder, "farther"),
    "up1",
    ["198.51.100.1/24", "fd00:3::1/64"],
    ["198.51.100.2/24", "fd00:3::2/64"],
  );
  for (const neighbour of [outside, farther]) {
    await neighbour.sh(`ip route add default via ${neighbour === outside ? "192.0.2.1" : "198.51.100.1"}`);
    await neighbour.sh(`ip route add default via ${neighbour === outside ? "fd00:2::1" : "fd00:3::1"}`);
  }
  return {
    folder,
    host,
    outside,
    farther,
    async close() {
      for (const each of [host, outside, farther]) await each.close();
      for (const name of ["outside", "farther"]) removeNamespace(path.join(folder, name));
      rmSync(folder, { recursive: true });
    },
  };
}

/** Another host, on a link of its own to this one. */
async function addNeighbour(file: string, link: string, here: string[], there: string[]): Promise<TestHost> {
  createNamespace(file, () => undefined);
  const neighbour = openHost(file);
  await sh(`ip link add ${link} type veth peer name eth0 netns ${file}`);
  for (const address of here) await sh(`ip addr add ${address} dev ${link}${nodad(address)}`);
  await sh(`ip link set ${link} up`);
  await neighbour.sh("ip link set lo up");
  for (const address of there) await neighbour.sh(`ip addr add ${address} dev eth0${nodad(address)}`);
  await neighbour.sh("ip link set eth0 up");
  return neighbour;
}

const nodad = (address: string): string => (address.includes(":") ? " nodad" : "");
