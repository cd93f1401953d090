import type { NetworkCreate } from "../../api/network.ts";
import { EngineError, messageOf } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { Undo } from "../../base/undo.ts";
import { readBridgeOptions } from "./bridge-options.ts";
import { checkPools, makePools } from "./ipam.ts";
import {
  allNetworks,
  deleteNetwork,
  emptyNetwork,
  findNetwork,
  isPredefined,
  saveNetwork,
  type AddressPool,
  type NetworkRecord,
} from "./network-records.ts";
import { driverOf, type NetworkParts } from "./parts.ts";
import { privatePool } from "./subnets.ts";

/**
 * `POST /networks/create`. The record is written before the kernel is touched: a crash in between leaves a network whose bridge the next
 * start makes.
 */
export async function createNetwork(parts: NetworkParts, request: NetworkCreate): Promise<NetworkRecord> {
  const { database, log } = parts;
  const checked = await withFoundBridge(parts, checkRequest(parts, request));
  const network: NetworkRecord = { ...checked, pools: await choosePools(parts, checked, request) };
  const driver = driverOf(parts, network);
  driver.validate(network);
  failpoint("network.create.begin");

  await using undo = new Undo((message) => log.warn(message));
  saveNetwork(database, network);
  undo.defer("forgetting the network", () => deleteNetwork(database, network));
  failpoint("network.create.saved");
  undo.defer("taking it down", () => driver.tearDown(network));
  await driver.setUp(network);
  failpoint("network.create.made");
  await database.durable();
  undo.keep();
  return network;
}

const NAME_LIMIT = 255;

/** In the order in which dockerd finds mistakes. */
function checkRequest({ database, drivers }: NetworkParts, request: NetworkCreate): NetworkRecord {
  const { Name: name, Driver, IPAM: ipam } = request;
  const others = allNetworks(database).filter((network) => network.removing !== true);
  if (name.trim() === "") throw new EngineError("invalid", "invalid network name: name is empty");
  if (name.length > NAME_LIMIT) throw new EngineError("invalid", `invalid network name: more than ${NAME_LIMIT} characters`);
  if (isPredefined({ name }) || name === "default")
    throw new EngineError("forbidden", `operation is not permitted on predefined ${name} network`);
  if (others.some((network) => network.name === name)) throw new EngineError("conflict", `network with name ${name} already exists`);
  if (request.ConfigOnly || request.ConfigFrom.Network !== "")
    throw new EngineError("unimplemented", `network ${name}: networks that are configurations for others are not there yet`);
  if (request.Scope !== "" && request.Scope !== "local")
    throw new EngineError("invalid", `network ${name}: this node is not a swarm manager: only the scope "local" is there`);
  if (request.Ingress) throw new EngineError("unavailable", `network ${name}: this node is not a swarm manager: ingress networks need one`);
  const driver = Driver === "" || Driver === "default" ? "bridge" : Driver;
  if (driver === "host" || driver === "null") throw new EngineError("forbidden", `only one instance of "${driver}" network is allowed`);
  if (driver !== "bridge" || drivers.bridge === undefined) throw new EngineError("notFound", `plugin "${driver}" not found`);
  if (ipam.Driver !== "" && ipam.Driver !== "default") throw new EngineError("notFound", `plugin "${ipam.Driver}" not found`);

  const options = Object.fromEntries(request.Options);
  const enableIpv6 = request.EnableIPv6 ?? ["1", "true"].includes(options["com.docker.network.enable_ipv6"] ?? "");
  const enableIpv4 = request.EnableIPv4 ?? !["0", "false"].includes(options["com.docker.network.enable_ipv4"] ?? "");
  if (!enableIpv4 && !enableIpv6) throw new EngineError("invalid", `network ${name}: IPv4 or IPv6 must be enabled`);
  checkPools(ipam.Config, enableIpv6);
  const network: NetworkRecord = {
    ...emptyNetwork(),
    name,
    driver,
    internal: request.Internal,
    attachable: request.Attachable,
    enableIpv4,
    enableIpv6,
    ipamOptions: ipam.Options === undefined ? null : Object.fromEntries(ipam.Options),
    options,
    labels: Object.fromEntries(request.Labels),
  };
  const bridge = readBridgeOptions(network);
  const sharing = others.find((other) => other.bridge?.name === bridge.name);
  if (sharing !== undefined) {
    throw new EngineError(
      "forbidden",
      `cannot create network ${network.id} (${bridge.name}): bridge ${bridge.name} is used by network ${sharing.name}`,
    );
  }
  return { ...network, bridge };
}

/** A bridge that was there before is somebody else's: removing the network must not remove it. */
async function withFoundBridge({ kernel }: NetworkParts, network: NetworkRecord): Promise<NetworkRecord> {
  const { bridge } = network;
  if (bridge === undefined || (await kernel.call("findBridge", bridge.name)) === undefined) return network;
  return { ...network, bridge: { ...bridge, isForeign: true } };
}

async function choosePools(
  { database, kernel, addressPools }: NetworkParts,
  network: NetworkRecord,
  { IPAM }: NetworkCreate,
): Promise<AddressPool[]> {
  const others = allNetworks(database);
  const bridges = new Set(others.map((other) => other.bridge?.name));
  const sources = {
    ours: others.flatMap((other) => other.pools.map(({ subnet }) => subnet)),
    hosts: (await kernel.call("hostNetworks")).filter(({ link }) => !bridges.has(link)).map((host) => host.network),
  };
  // As many IPv6 networks as one likes, that no other host has (RFC 4193): as Docker makes them since 27.0.
  const defaults = [...addressPools, privatePool(findNetwork(others, "bridge").id)];
  try {
    return [
      ...(network.enableIpv4 ? makePools(4, IPAM.Config, { ...sources, defaults }) : []),
      ...(network.enableIpv6 ? makePools(6, IPAM.Config, { ...sources, defaults }) : []),
    ];
  } catch (error) {
    if (error instanceof EngineError) throw error;
    throw new EngineError("system", `choosing addresses for network ${network.name}: ${messageOf(error)}`, { cause: error });
  }
}
