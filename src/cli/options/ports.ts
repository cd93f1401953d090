import { isIP } from "node:net";

/**
 * Published ports: `[[ip:][hostPort]:]containerPort[/tcp|udp|sctp]`, ports as ranges too. Ranges of the same length pair up; a range on
 * the host's side alone means "one of these".
 */

export type PortBinding = { readonly HostIp: string; readonly HostPort: string };
export type PublishedPorts = { readonly exposed: Record<string, object>; readonly bindings: Record<string, PortBinding[]> };

const PORT_LIMIT = 65535;
const PROTOCOLS = ["tcp", "udp", "sctp"];

/** All `-p` of a command line. */
export function parsePublished(specs: readonly string[]): PublishedPorts {
  const exposed: Record<string, object> = {};
  const bindings: Record<string, PortBinding[]> = {};
  for (const spec of specs) {
    for (const { port, binding } of parseSpec(fromLongForm(spec))) {
      exposed[port] = {};
      (bindings[port] ??= []).push(binding);
    }
  }
  return { exposed, bindings };
}

/** One `--expose`: `80`, `80/udp`, `8000-8005/tcp`. */
export function parseExposed(spec: string): string[] {
  if (spec.includes(":")) throw new Error(`invalid port format for --expose: ${spec}`);
  const { port, protocol } = splitProtocol(spec);
  let range;
  try {
    range = parseRange(port);
  } catch (error) {
    throw new Error(`invalid range format for --expose: ${spec}, error: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
  return numbers(range).map((number) => `${number}/${protocol}`);
}

/** `published=8080,target=80,protocol=tcp`, the way services write it. */
function fromLongForm(spec: string): string {
  if (!spec.includes("=")) return spec;
  const parameters: Record<string, string> = { protocol: "tcp" };
  for (const field of spec.split(",")) {
    const at = field.indexOf("=");
    if (at <= 0) throw new Error(`invalid publish opts format (should be name=value but got '${field}')`);
    parameters[field.slice(0, at)] = field.slice(at + 1);
  }
  return `${parameters["published"] ?? ""}:${parameters["target"] ?? ""}/${parameters["protocol"]}`;
}

function parseSpec(spec: string): { port: string; binding: PortBinding }[] {
  const parts = spec.split(":");
  const last = parts.pop() ?? "";
  let hostPort = parts.pop() ?? "";
  const given = parts.join(":");
  const { port, protocol } = splitProtocol(last);
  const address = /^\[(.*)\]$/.exec(given)?.[1] ?? given;
  if (address !== "" && isIP(address.replace(/%.*$/, "")) === 0) throw new Error(`invalid IP address: ${address}`);
  if (port === "") throw new Error(`no port specified: ${spec}<empty>`);
  const container = rangeOr(port, `invalid containerPort: ${port}`);
  const host = hostPort === "" ? undefined : rangeOr(hostPort, `invalid hostPort: ${hostPort}`);
  const isRange = container.end > container.start;
  if (host !== undefined && isRange && host.end - host.start !== container.end - container.start) {
    throw new Error(`invalid ranges specified for container and host Ports: ${port} and ${hostPort}`);
  }
  if (!PROTOCOLS.includes(protocol.toLowerCase())) throw new Error(`invalid proto: ${protocol}`);
  return numbers(container).map((number, index) => {
    if (host !== undefined) hostPort = !isRange && host.end > host.start ? `${host.start}-${host.end}` : String(host.start + index);
    return { port: `${number}/${protocol.toLowerCase()}`, binding: { HostIp: address, HostPort: hostPort } };
  });
}

function splitProtocol(text: string): { port: string; protocol: string } {
  const [port = "", protocol = ""] = text.split("/");
  if (port === "") return { port: "", protocol: "" };
  return { port, protocol: protocol || "tcp" };
}

type Range = { readonly start: number; readonly end: number };

function rangeOr(text: string, message: string): Range {
  try {
    return parseRange(text);
  } catch (error) {
    throw new Error(message, { cause: error });
  }
}

function parseRange(text: string): Range {
  if (text === "") throw new Error("empty string specified for ports");
  const [first = "", last = first] = text.split("-");
  const range = { start: parsePort(first), end: parsePort(last) };
  if (range.end < range.start) throw new Error(`invalid range specified for port: ${text}`);
  return range;
}

function parsePort(text: string): number {
  if (!/^\d+$/.test(text)) throw new Error(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  if (Number(text) > PORT_LIMIT) throw new Error(`strconv.ParseUint: parsing ${JSON.stringify(text)}: value out of range`);
  return Number(text);
}

function numbers({ start, end }: Range): number[] {
  return Array.from({ length: end - start + 1 }, (_, index) => start + index);
}
