import { BlockList, isIP } from "node:net";

import { JobError } from "../../../store/child/serve.ts";

/**
 * Which proxy a request goes through: HTTP_PROXY, HTTPS_PROXY and NO_PROXY of the daemon's environment, read as Go's programs read them
 * (golang.org/x/net/http/httpproxy), since that is how hosts are set up for Docker. This machine itself is never asked through a proxy.
 */
export function proxyFor(url: URL, environment: NodeJS.ProcessEnv = process.env): URL | undefined {
  const read = (name: string): string => environment[name] || environment[name.toLowerCase()] || "";
  const text = read(url.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY");
  if (text === "" || isExempt(url, read("NO_PROXY"))) return undefined;
  const address = text.includes("://") ? text : `http://${text}`;
  const proxy = URL.canParse(address) ? new URL(address) : undefined;
  if (proxy === undefined || !/^https?:$/.test(proxy.protocol))
    throw new JobError("the daemon's environment names a proxy that is no http or https address", {});
  return proxy;
}

/** `Proxy-Authorization` for a proxy with a user. */
export function proxyHeaders(proxy: URL): Record<string, string> {
  if (proxy.username === "") return {};
  const user = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { "proxy-authorization": `Basic ${Buffer.from(user).toString("base64")}` };
}

function isExempt(url: URL, exceptions: string): boolean {
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  if (hostname === "localhost" || isWithin(hostname, "127.0.0.0/8") || hostname === "::1") return true;
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return exceptions
    .toLowerCase()
    .split(",")
    .map((entry) => entry.trim())
    .some((entry) => entry === "*" || (entry !== "" && matches(hostname, port, entry)));
}

/** `host` and all below it, `.host` only what is below, an address, a block of them; each but the block perhaps with a port. */
function matches(hostname: string, port: string, entry: string): boolean {
  if (entry.includes("/")) return isWithin(hostname, entry);
  const [, name = "", entryPort = port] = /^(\[[^\]]*\]|[^:]*(?::[^:]*:.*)?)(?::(\d+))?$/.exec(entry) ?? [];
  if (entryPort !== port) return false;
  const bare = name.replace(/^\[|\]$/g, "").replace(/^\*\./, ".");
  return bare.startsWith(".") ? hostname.endsWith(bare) : hostname === bare || (isIP(bare) === 0 && hostname.endsWith(`.${bare}`));
}

function isWithin(address: string, block: string): boolean {
  const [network = "", prefix = ""] = block.split("/");
  const family = isIP(network);
  if (family === 0 || isIP(address) !== family || !/^\d{1,3}$/.test(prefix) || Number(prefix) > (family === 6 ? 128 : 32)) return false;
  const blocks = new BlockList();
  blocks.addSubnet(network, Number(prefix), family === 6 ? "ipv6" : "ipv4");
  return blocks.check(address, family === 6 ? "ipv6" : "ipv4");
}
