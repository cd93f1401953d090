import { isIP, isIPv6 } from "node:net";

import { EngineError } from "../../base/errors.ts";

/**
 * The three files that tell a container who it is and whom to ask: /etc/hosts, /etc/hostname, /etc/resolv.conf. Pure text, as Docker 28
 * writes them.
 */

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

/** Where systemd-resolved writes the servers behind its stub on 127.0.0.53. */
export const RESOLVED_FILE = "/run/systemd/resolve/resolv.conf";

/** True for a resolv.conf that names systemd-resolved's stub alone: the servers are then in `RESOLVED_FILE`. */
export function isResolvedStub(content: string): boolean {
  const { servers } = parseResolvConf(content);
  return servers.length === 1 && servers[0] === "127.0.0.53";
}

export interface ResolvConfOptions {
  /** Content of the host's file (the one behind the stub, where there is a stub). */
  hostContent: string;
  hostPath: string;
  /** `--dns`, `--dns-search`, `--dns-option`: each, when not empty, replaces the host's. */
  servers?: readonly string[] | undefined;
  search?: readonly string[] | undefined;
  options?: readonly string[] | undefined;
  /** The container shares the host's network: loopback servers work there. */
  hostNetwork?: boolean | undefined;
}

/** Servers when the host names none that a container could reach. */
const FALLBACK_SERVERS = ["8.8.8.8", "8.8.4.4"];

export function resolvConfFile(input: ResolvConfOptions): string {
  const host = parseResolvConf(input.hostContent);
  const overrides: string[] = [];
  let usedFallback = false;

  let servers = host.servers;
  if (input.servers !== undefined && input.servers.length > 0) {
    servers = [...input.servers];
    overrides.push("nameservers");
  } else if (input.hostNetwork !== true) {
    // Containers have no IPv6 address yet, and their loopback is not the host's.
    servers = servers.filter((server) => !isLoopback(server) && !isIPv6(server.replace(/%.*$/, "")));
    if (servers.length === 0) {
      servers = FALLBACK_SERVERS;
      usedFallback = true;
    }
  }
  let search = host.search;
  if (input.search !== undefined && input.search.length > 0) {
    search = input.search.filter((domain) => domain !== ".");
    overrides.push("search");
  }
  let options = host.options;
  if (input.options !== undefined && input.options.length > 0) {
    options = [...input.options];
    overrides.push("options");
  }

  const lines = [
    "# Generated by Tsubo.",
    "# This file can be edited; it is written anew when the container starts.",
    "",
    ...servers.map((server) => `nameserver ${server}`),
    ...(search.length > 0 ? [`search ${search.join(" ")}`] : []),
    ...(options.length > 0 ? [`options ${options.join(" ")}`] : []),
    ...host.other,
    "",
    `# Based on host file: '${input.hostPath}'${input.hostNetwork === true ? "" : " (legacy)"}`,
    ...(usedFallback ? ["# Used default nameservers."] : []),
    `# Overrides: [${overrides.join(" ")}]`,
  ];
  return `${lines.join("\n")}\n`;
}

function parseResolvConf(content: string): { servers: string[]; search: string[]; options: string[]; other: string[] } {
  const servers: string[] = [];
  const options: string[] = [];
  const other: string[] = [];
  let search: string[] = [];
  for (const line of content.split("\n")) {
    const [directive = "", ...values] = line.trim().split(/\s+/);
    if (directive === "" || directive.startsWith("#") || directive.startsWith(";")) continue;
    const [first] = values;
    if (directive === "nameserver") {
      if (first !== undefined && isIP(first) !== 0) servers.push(first);
    } else if (directive === "search" || directive === "domain") {
      // The last one counts; `domain` is the old word for it.
      if (values.length > 0) search = values;
    } else if (directive === "options") {
      options.push(...values);
    } else {
      other.push(line);
    }
  }
  return { servers, search, options, other };
}

function isLoopback(server: string): boolean {
  return server.startsWith("127.") || server === "::1";
}
