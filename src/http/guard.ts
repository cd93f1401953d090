import type { IncomingHttpHeaders } from "node:http";
import { isIP } from "node:net";
import { hostname } from "node:os";

import { EngineError } from "../base/errors.ts";

/**
 * Keeps web pages away from a TCP listener: a page that the user visits can send requests to 127.0.0.1 (cross-site request forgery), and
 * with a name of its own that it lets point there it can read the answers (DNS rebinding). Browsers always name the page's origin on what
 * is not a plain GET, and always the host they believe to be talking to. No CORS header is ever sent.
 *
 * A unix socket needs none of this: no browser reaches it.
 */
export function refuseBrowsers(headers: IncomingHttpHeaders, allowedNames: readonly string[]): void {
  if (headers.origin !== undefined && !allowedNames.includes(hostOf(headers.origin.replace(/^[a-z]+:\/\//i, ""))))
    throw new EngineError("forbidden", `requests of web pages (${headers.origin}) are not allowed: the API is not for browsers`);
  const host = hostOf(headers.host ?? "localhost");
  if (!isAllowed(host, allowedNames))
    throw new EngineError(
      "forbidden",
      `the daemon does not answer to the name ${JSON.stringify(host)}: use an address, localhost a name without a dot or the machine's own name`,
    );
}

function isAllowed(host: string, allowedNames: readonly string[]): boolean {
  const name = host.toLowerCase().replace(/\.$/, "");
  if (name === "" || isIP(name) !== 0) return true;
  // Nobody can register a name without a dot, or one below these.
  if (!name.includes(".") || /\.(?:localhost|local|internal|home\.arpa)$/.test(name)) return true;
  return name.startsWith(`${hostname().toLowerCase()}.`) || name === hostname().toLowerCase() || allowedNames.includes(name);
}

function hostOf(authority: string): string {
  return authority.replace(/:\d*$/, "").replace(/^\[(.*)\]$/, "$1");
}
