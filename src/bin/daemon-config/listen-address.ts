import { EngineError } from "../../base/errors.ts";

/** Where the API listens. */
export type ListenAddress = { kind: "unix"; path: string } | { kind: "tcp"; host: string; port: number };

/** Docker's port for an address that names none: IANA's for Docker without TLS. */
const DEFAULT_PORT = 2375;

/**
 * One value of `-H`, as dockerd reads it (moby opts/hosts.go): `unix://PATH`, `tcp://HOST:PORT` with either part left out, `HOST:PORT`.
 */
export function parseListenAddress(text: string, defaultSocketPath: string): ListenAddress {
  const trimmed = text.trim();
  if (trimmed === "") return { kind: "unix", path: defaultSocketPath };
  const refuse = (why: string): EngineError => new EngineError("invalid", `invalid bind address (${trimmed}): ${why}`);
  const separator = trimmed.indexOf("://");
  const protocol = separator < 0 ? "tcp" : trimmed.slice(0, separator);
  const rest = separator < 0 ? trimmed : trimmed.slice(separator + 3);
  switch (protocol) {
    case "unix":
      if (rest.includes("://")) throw refuse(`invalid unix address: ${rest}`);
      if (rest !== "" && !rest.startsWith("/")) throw refuse("the path of a socket must be absolute");
      return { kind: "unix", path: rest === "" ? defaultSocketPath : rest };
    case "tcp":
      return parseTcp(rest, refuse);
    case "fd":
      throw refuse("socket activation is not there: name the socket, as in -H unix:///var/run/docker.sock");
    default:
      throw refuse(`unsupported proto '${protocol}'`);
  }
}

export function formatListenAddress(address: ListenAddress): string {
  if (address.kind === "unix") return `unix://${address.path}`;
  return `tcp://${address.host.includes(":") ? `[${address.host}]` : address.host}:${address.port}`;
}

function parseTcp(rest: string, refuse: (why: string) => EngineError): ListenAddress {
  if (rest.includes("/")) throw refuse("should not contain a path element");
  const match = /^(?:\[([0-9a-fA-F:.%\w]*)\]|([^:[\]]*))(?::(.*))?$/.exec(rest);
  if (match === null) throw refuse("neither HOST:PORT nor [IPV6]:PORT");
  const portText = match[3] ?? "";
  const port = portText === "" ? DEFAULT_PORT : Number(portText);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) throw refuse(`invalid port: ${portText}`);
  return { kind: "tcp", host: match[1] || match[2] || "localhost", port };
}
