/** The words of EXPOSE: `80`, `8000-8010/udp`; also `[ip:]host:container`, of which only the container's part counts. */
import { isIP } from "node:net";

import { EngineError } from "../base/errors.ts";

const MAX_PORT = 65_535;
/** What one EXPOSE may come to: each port of each protocol once, and some ranges that overlap. */
export const MAX_EXPOSED_PORTS = 5 * MAX_PORT;

export interface ExposedRange {
  first: number;
  last: number;
  /** As written. */
  protocol: string;
  /** An address or a port of the host was given, which means nothing here. */
  isMapping: boolean;
}

/** `80/tcp`, … of all words. Throws EngineError in Docker's words. */
export function exposedPorts(words: readonly string[]): string[] {
  const ports: string[] = [];
  for (const word of new Set(words)) {
    const { first, last, protocol } = parseExposed(word);
    for (let port = first; port <= last; port += 1) ports.push(`${port}/${protocol.toLowerCase()}`);
    if (ports.length > MAX_EXPOSED_PORTS) fail(`more than ${MAX_EXPOSED_PORTS} ports in one EXPOSE`);
  }
  return ports;
}

export function parseExposed(word: string): ExposedRange {
  const parts = word.split(":");
  const container = parts.pop() ?? "";
  const host = parts.pop() ?? "";
  const address = parts.join(":");
  const slash = container.indexOf("/");
  const range = slash === -1 ? container : container.slice(0, slash);
  const protocol = (slash === -1 ? "" : container.slice(slash + 1)) || "tcp";
  if (range === "") fail(`no port specified: ${word}<empty>`);
  if (!["tcp", "udp", "sctp"].includes(protocol.toLowerCase())) fail(`invalid proto: ${protocol}`);
  if (address !== "" && isIP(address.replace(/^\[(.*)\]$/, "$1")) === 0) fail(`invalid IP address: ${address}`);
  const [first, last] = rangeOf(range) ?? fail(`invalid containerPort: ${range}`);
  if (host !== "") checkHostPorts(host, range, last - first);
  return { first, last, protocol, isMapping: host !== "" || address !== "" };
}

function checkHostPorts(host: string, container: string, size: number): void {
  const [first, last] = rangeOf(host) ?? fail(`invalid hostPort: ${host}`);
  if (last - first !== size && size !== 0) fail(`invalid ranges specified for container and host Ports: ${container} and ${host}`);
}

function rangeOf(text: string): [first: number, last: number] | undefined {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (match === null) return undefined;
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  return first <= last && last <= MAX_PORT ? [first, last] : undefined;
}

function fail(message: string): never {
  throw new EngineError("invalid", message);
}
