import { closeSync } from "node:fs";

import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { libc, SystemCallError } from "../ffi.ts";
import {
  addIpv4Address,
  addIpv4DefaultRoute,
  createBridge,
  createVeth,
  decodeIpv4Address,
  decodeLink,
  deleteLink,
  dumpIpv4Addresses,
  getLink,
  raiseBridge,
  raiseLink,
  raisePort,
  setMtu,
} from "./links.ts";
import { NETLINK_ROUTE, openNetlinkSocket, type NetlinkSocket } from "./netlink-socket.ts";
import { inNamespace, openNamespace } from "./netns.ts";
import { ensureSetting } from "./settings.ts";

/** A bridge and its ports: how containers come onto it. */
export interface BridgeSpec {
  name: string;
  /** Given to a bridge that has no IPv4 address yet. */
  address: string;
  prefixLength: number;
  macAddress: string;
  mtu: number | undefined;
}

export interface BridgeFound {
  index: number;
  /** Its first IPv4 address, if it has one. */
  address: string | undefined;
  prefixLength: number;
  mtu: number;
}

export interface ConnectSpec {
  namespaceFile: string;
  bridge: string;
  hostLink: string;
  containerLink: string;
  macAddress: string;
  address: string;
  prefixLength: number;
  /** Absent: no default route. */
  gateway: string | undefined;
  mtu: number | undefined;
}

const nameToIndex = libc("unsigned int if_nametoindex(const char *name)");

/** The bridge is there, is up, has an address and forwards. An existing one keeps the address it has. */
export function ensureBridge(routes: NetlinkSocket, spec: BridgeSpec): BridgeFound {
  let found = findBridge(routes, spec.name);
  if (found === undefined) {
    routes.transact([createBridge(spec)]);
    failpoint("network.bridge.created");
    found = findBridge(routes, spec.name);
  }
  if (found === undefined) throw new EngineError("system", `making bridge ${spec.name}: it was removed again by somebody else`);
  if (spec.mtu !== undefined && found.mtu !== spec.mtu) routes.transact([setMtu(spec.name, spec.mtu)]);
  ensureSetting(`ipv4/conf/${spec.name}/forwarding`, "1");
  // Lets 127.0.0.1:PORT be rewritten to a container's address; the rules' `guard` chain keeps containers off the host's 127.0.0.1.
  ensureSetting(`ipv4/conf/${spec.name}/route_localnet`, "1");
  ensureSetting(`ipv6/conf/${spec.name}/accept_ra`, "0");
  const address = addressBytes(spec.address);
  routes.transact([
    ...(found.address === undefined ? [addIpv4Address(found.index, address, spec.prefixLength, `giving ${spec.name} its address`)] : []),
    raiseBridge(spec.name),
  ]);
  return {
    ...found,
    address: found.address ?? spec.address,
    prefixLength: found.address === undefined ? spec.prefixLength : found.prefixLength,
  };
}

export function findBridge(routes: NetlinkSocket, name: string): BridgeFound | undefined {
  let answer;
  try {
    answer = routes.query(getLink(name));
  } catch (error) {
    if (error instanceof SystemCallError && error.code === "ENODEV") return undefined;
    throw error;
  }
  const [link] = answer.map(decodeLink);
  if (link === undefined) return undefined;
  if (link.kind !== "bridge")
    throw new EngineError("conflict", `using ${name} as a bridge: it is a network link of another kind: choose another --bridge`);
  const address = routes
    .query(dumpIpv4Addresses)
    .map(decodeIpv4Address)
    .find((candidate) => candidate.linkIndex === link.index);
  return { index: link.index, address: address?.address, prefixLength: address?.prefixLength ?? 0, mtu: link.mtu };
}

/** Gives a namespace a link on the bridge, with address and default route. Leaves no link behind when it throws. */
export function connectToBridge(routes: NetlinkSocket, spec: ConnectSpec): void {
  const bridgeIndex = Number(nameToIndex(spec.bridge));
  if (bridgeIndex === 0)
    throw new EngineError("system", `connecting to bridge ${spec.bridge}: it does not exist: restart the daemon to make it again`);
  const namespaceFd = openNamespace(spec.namespaceFile);
  try {
    const peer = { name: spec.containerLink, macAddress: spec.macAddress, namespaceFd };
    routes.transact([createVeth({ name: spec.hostLink, bridgeIndex, mtu: spec.mtu, peer }), raisePort(spec.hostLink)]);
    try {
      failpoint("network.connect.linked");
      configureInside(namespaceFd, spec);
    } catch (error) {
      routes.transact([deleteLink(spec.hostLink)]);
      throw error;
    }
  } finally {
    closeSync(namespaceFd);
  }
}

function configureInside(namespaceFd: number, spec: ConnectSpec): void {
  const { socket, index } = inNamespace(namespaceFd, () => ({
    socket: openNetlinkSocket(NETLINK_ROUTE),
    index: Number(nameToIndex(spec.containerLink)),
  }));
  try {
    const what = `of container link ${spec.containerLink}`;
    socket.transact([
      addIpv4Address(index, addressBytes(spec.address), spec.prefixLength, `setting the address ${what}`),
      raiseLink(spec.containerLink),
      ...(spec.gateway === undefined ? [] : [addIpv4DefaultRoute(index, addressBytes(spec.gateway), `setting the default route ${what}`)]),
    ]);
  } finally {
    socket.close();
  }
}

/** The four bytes of a dotted IPv4 address that was validated before. */
export function addressBytes(address: string): Buffer {
  return Buffer.from(address.split(".").map(Number));
}
