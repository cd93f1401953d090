/** The words of EXPOSE: `80`, `8000-8010/udp`; also `[ip:]host:container`, of which only the container's part counts. */
import { isIP } from "node:net";

import { EngineError } from "../../../base/errors.ts";

/** Ports a range may have; all of them. */
const MAX_PORT = 65_535;

export interface ExposedPorts {
  /** `80/tcp`, … */
  ports: string[];
  /** The protocol as written. */
  protocol: string;
  /** An address or a port of the host was given, which means nothing here. */
  isMapping: boolean;
}

/** Throws EngineError in Docker's words. */
export function parseExposed(word: string): ExposedPorts {
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
  const ports = Array.from({ length: last - first + 1 }, (_, index) => `${first + index}/${protocol.toLowerCase()}`);
  return { ports, protocol, isMapping: host !== "" || address !== "" };
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
