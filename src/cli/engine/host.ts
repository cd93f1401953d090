import { CommandFailure } from "../failure.ts";
import { readFileSync } from "node:fs";
import path from "node:path";

/**
 * Which engine to talk to: `-H`, then TSUBO_HOST, then DOCKER_HOST, then our own daemon's socket. Contexts are accepted by name and not
 * needed: only "default" exists.
 */

export const DEFAULT_HOST = "unix:///run/tsubo/tsubo.sock";

const NO_ENDPOINT = "unable to resolve the engine's address";

export type Tls = { readonly ca?: Buffer; readonly cert?: Buffer; readonly key?: Buffer; readonly verify: boolean };

export type Host = {
  /** As it is named in messages. */
  readonly url: string;
  readonly address: { readonly socketPath: string } | { readonly host: string; readonly port: number; readonly tls: Tls | undefined };
};

export type TlsOptions = {
  readonly tls: boolean;
  readonly verify: boolean;
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
};

/** The engine's address from what was given and the environment. */
export function findHost(given: readonly string[], tls: TlsOptions): Host {
  if (given.length > 1) throw new CommandFailure(`${NO_ENDPOINT}: Specify only one -H`);
  const url = given[0] ?? (process.env["TSUBO_HOST"] || process.env["DOCKER_HOST"] || DEFAULT_HOST);
  return parseHost(url, tls);
}

function parseHost(given: string, tls: TlsOptions): Host {
  const text = given.trim();
  const [, scheme = "tcp", rest = text] = /^([a-z]+):\/\/(.*)$/.exec(text) ?? [];
  if (scheme === "unix")
    return { url: `unix://${rest || "/run/tsubo/tsubo.sock"}`, address: { socketPath: rest || "/run/tsubo/tsubo.sock" } };
  if (scheme === "ssh")
    throw new CommandFailure(
      "ssh:// is not supported yet: forward the socket (ssh -L /tmp/engine.sock:/run/tsubo/tsubo.sock HOST) and use unix:///tmp/engine.sock",
    );
  if (scheme !== "tcp" && scheme !== "http" && scheme !== "https") {
    throw new CommandFailure(`${NO_ENDPOINT}: invalid bind address format: ${given}: use unix:///PATH or tcp://HOST:PORT`);
  }
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:/\s]*))(?::(\d+))?(?:\/.*)?$/.exec(rest);
  const port = match?.[3] === undefined ? undefined : Number(match[3]);
  if (match === null || (port !== undefined && port > 65535))
    throw new CommandFailure(`${NO_ENDPOINT}: invalid bind address (${given}): should be of the form HOST:PORT`);
  const secure = scheme === "https" || tls.tls || tls.verify;
  const host = match[1] ?? (match[2] || "localhost");
  return {
    url: text.includes("://") ? text : `tcp://${text}`,
    address: {
      host,
      port: port ?? (secure ? 2376 : 2375),
      tls: secure ? readTls(tls, tls.verify || (scheme === "https" && !tls.tls)) : undefined,
    },
  };
}

/** Where nothing says which CA to trust, a verified engine is held against those of the system. */
function readTls(options: TlsOptions, verify: boolean): Tls {
  const folder = process.env["DOCKER_CERT_PATH"] || process.env["DOCKER_CONFIG"] || path.join(process.env["HOME"] ?? "/", ".docker");
  const read = (given: string, name: string): Buffer | undefined => {
    try {
      return readFileSync(given || path.join(folder, name));
    } catch (error) {
      if (given === "" && (name !== "ca.pem" || !options.verify)) return undefined;
      throw new CommandFailure(`${NO_ENDPOINT}: cannot read the TLS file ${given || path.join(folder, name)}`, 1, {
        cause: error,
      });
    }
  };
  const ca = read(options.ca, "ca.pem");
  const cert = read(options.cert, "cert.pem");
  const key = read(options.key, "key.pem");
  return { verify, ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}
