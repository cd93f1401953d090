import { lookup } from "node:dns/promises";
import { BlockList, isIP } from "node:net";

import { EngineError } from "../../../base/errors.ts";
import type { RegistrySettings } from "../open-images.ts";

/** A place to ask for a repository. */
export interface Endpoint {
  /** `https://registry-1.docker.io`, without a slash at the end; a mirror may have a path. */
  baseUrl: string;
  /** Gets no credentials: they are the registry's. */
  isMirror: boolean;
  /** Its certificate need not be known. */
  insecureTls: boolean;
}

const HUB_DOMAIN = "docker.io";
const HUB_URL = "https://registry-1.docker.io";
/** Always allowed without TLS, as in Docker. */
const LOOPBACK = ["127.0.0.0/8", "::1/128"];

/** Where to ask for repositories of a domain, in order: for Docker Hub its mirrors first; a registry marked insecure also by plain http. */
export async function endpointsOf(domain: string, settings: RegistrySettings): Promise<Endpoint[]> {
  if (domain === HUB_DOMAIN) {
    const mirrors = settings.mirrors.map((mirror) => parseMirror(mirror, settings));
    return [...(await Promise.all(mirrors)), { baseUrl: HUB_URL, isMirror: false, insecureTls: false }];
  }
  const insecure = await isInsecure(domain, settings);
  const safe: Endpoint = { baseUrl: `https://${domain}`, isMirror: false, insecureTls: insecure };
  return insecure ? [safe, { ...safe, baseUrl: `http://${domain}` }] : [safe];
}

async function parseMirror(mirror: string, settings: RegistrySettings): Promise<Endpoint> {
  const url = URL.canParse(mirror) ? new URL(mirror) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== "" || url.hash !== "" || url.username !== "") {
    throw new EngineError("invalid", `invalid mirror: ${JSON.stringify(mirror)} is no http or https URL without query and user`);
  }
  return { baseUrl: url.href.replace(/\/+$/, ""), isMirror: true, insecureTls: await isInsecure(url.host, settings) };
}

/** Whether a registry may be used without TLS or with an unknown certificate: listed by name, or with an address in a listed block. */
async function isInsecure(host: string, settings: RegistrySettings): Promise<boolean> {
  if (settings.insecureRegistries.includes(host)) return true;
  const blocks = new BlockList();
  for (const entry of [...LOOPBACK, ...settings.insecureRegistries]) {
    const [network = "", prefix] = entry.split("/");
    const family = isIP(network);
    if (prefix !== undefined && family !== 0) blocks.addSubnet(network, Number(prefix), family === 6 ? "ipv6" : "ipv4");
  }
  const hostname = host.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");
  const addresses = isIP(hostname) === 0 ? await resolve(hostname) : [hostname];
  return addresses.some((address) => blocks.check(address, isIP(address) === 6 ? "ipv6" : "ipv4"));
}

async function resolve(hostname: string): Promise<string[]> {
  try {
    return (await lookup(hostname, { all: true })).map(({ address }) => address);
  } catch {
    // Said better by the request that follows.
    return [];
  }
}
