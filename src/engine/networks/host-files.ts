import { isIP } from "node:net";

import { EngineError } from "../../base/errors.ts";

/** The files that tell a container who it is: /etc/hosts and /etc/hostname. Pure text, as Docker 28 writes them. */

/** The name under which containers find their host; there without `--add-host`, which Docker needs. */
const HOST_NAME = "host.docker.internal";

const STANDARD_HOSTS = [
  "127.0.0.1\tlocalhost",
  "::1\tlocalhost ip6-localhost ip6-loopback",
  "fe00::\tip6-localnet",
  "ff00::\tip6-mcastprefix",
  "ff02::1\tip6-allnodes",
  "ff02::2\tip6-allrouters",
];

export interface HostsOptions {
  hostname: string;
  domainname?: string | undefined;
  /** The container's own endpoints. */
  endpoints?: readonly HostsEndpoint[] | undefined;
  /** What `host-gateway` stands for; absent where the host cannot be reached. */
  gateway?: string | undefined;
  /** `NAME:ADDRESS`, as HostConfig.ExtraHosts has them. */
  extraHosts?: readonly string[] | undefined;
  /** Of containers that this one is linked to. */
  linkLines?: readonly string[] | undefined;
  /** The host's own file, for a container that shares the host's network. */
  hostFile?: string | undefined;
}

export function hostsFile(options: HostsOptions): string {
  const extra = (options.extraHosts ?? []).map((entry) => parseExtraHost(entry, options.gateway));
  const lines = options.hostFile === undefined ? [...STANDARD_HOSTS] : options.hostFile.replace(/\n$/, "").split("\n");
  lines.push(...extra.map((host) => `${host.address}\t${host.name}`));
  if (options.gateway !== undefined && !extra.some((host) => host.name === HOST_NAME)) lines.push(`${options.gateway}\t${HOST_NAME}`);
  lines.push(...(options.linkLines ?? []));
  lines.push(...ownHostsLines({ Hostname: options.hostname, Domainname: options.domainname ?? "" }, options.endpoints ?? []));
  return `${lines.join("\n")}\n`;
}

export interface HostsEndpoint {
  ipv4Address: string;
  ipv6Address: string;
}

/** What a container is told of its own addresses: the name after each of them. */
export function ownHostsLines(
  { Hostname: hostname, Domainname: domainname }: { Hostname: string; Domainname: string },
  endpoints: readonly HostsEndpoint[],
): string[] {
  const addresses = endpoints.flatMap(({ ipv4Address, ipv6Address }) => [ipv4Address, ipv6Address]).filter((address) => address !== "");
  return addresses.map((address) => `${address}\t${ownNames(hostname, domainname)}`);
}

export function hostnameFile(hostname: string): string {
  return `${hostname}\n`;
}

/** Checks one `--add-host` value and gives its parts; `host-gateway` becomes the gateway's address. */
export function parseExtraHost(entry: string, gateway: string | undefined): { name: string; address: string } {
  const split = entry.search(/[:=]/);
  const name = split < 0 ? "" : entry.slice(0, split);
  const address = split < 0 ? "" : entry.slice(split + 1).replace(/^\[(.*)\]$/, "$1");
  if (name === "" || address === "") throw new EngineError("invalid", `bad format for add-host: "${entry}"`);
  if (address === "host-gateway") {
    if (gateway === undefined) throw new EngineError("invalid", "unable to derive the IP value for host-gateway");
    return { name, address: gateway };
  }
  if (isIP(address) === 0) throw new EngineError("invalid", `invalid IP address in add-host: "${address}"`);
  return { name, address };
}

/** The full name first and the bare one after it. */
function ownNames(hostname: string, domainname: string): string {
  const full = domainname === "" ? hostname : `${hostname}.${domainname}`;
  const dot = full.indexOf(".");
  return dot < 0 ? full : `${full} ${full.slice(0, dot)}`;
}
