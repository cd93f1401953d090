import { BlockList, isIP } from "node:net";

import type { RegistryAuth } from "../images.ts";

/**
 * Who may get credentials. A registry names its token server itself (the *realm*), so a hostile one could have them sent anywhere
 * (CVE-2026-33540): they go only to the registry and to a realm that evidently belongs to it.
 */

/** Token servers on another domain than their registry's, known to belong to it. */
const KNOWN_REALMS: Record<string, string> = { "registry.redhat.io": "sso.redhat.com", "registry.connect.redhat.com": "sso.redhat.com" };

/** True for the registry's own host, by the same or a safer scheme, and over https for hosts of the same site. */
export function realmMayGetCredentials(registry: URL, realm: URL): boolean {
  if (realm.username !== "" || realm.password !== "") return false;
  const isHttps = realm.protocol === "https:";
  if (realm.hostname === registry.hostname) return isHttps || (realm.protocol === "http:" && registry.protocol === "http:");
  return isHttps && (isSameSite(registry.hostname, realm.hostname) || KNOWN_REALMS[registry.hostname] === realm.hostname);
}

/** A realm that is asked at all, even without credentials: never less safe than the registry itself. */
export function realmMayBeAsked(registry: URL, realm: URL): boolean {
  return realm.protocol === "https:" || (realm.protocol === "http:" && registry.protocol === "http:");
}

/** Whether two names end in the same domain that somebody can register. Addresses are only the same as themselves. */
export function isSameSite(one: string, other: string): boolean {
  if (one === other) return true;
  if (isAddress(one) || isAddress(other)) return false;
  return siteOf(one) === siteOf(other);
}

/** The last two labels; three where the last two look like a public suffix (`co.uk`). */
function siteOf(hostname: string): string {
  const labels = hostname.toLowerCase().split(".");
  const [second = "", top = ""] = labels.slice(-2);
  const isPublicSuffix = top.length === 2 && second.length <= 3;
  return labels.slice(isPublicSuffix ? -3 : -2).join(".");
}

function isAddress(hostname: string): boolean {
  return isIP(hostname.replace(/^\[|\]$/g, "")) !== 0;
}

/** Credentials that a client sent along, when they are for this registry: a client that says for which one is taken at its word. */
export function credentialsFor(domain: string, auth: RegistryAuth | undefined): RegistryAuth | undefined {
  if (auth?.serverAddress === undefined || auth.serverAddress === "") return auth;
  const host = auth.serverAddress.replace(/^https?:\/\//, "").split("/", 1)[0] ?? "";
  return canonicalHost(host) === canonicalHost(domain) ? auth : undefined;
}

/** Docker Hub goes by several names. */
export function canonicalHost(host: string): string {
  return ["index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"].includes(host) ? "docker.io" : host.toLowerCase();
}

/** Addresses that a name out there has no business pointing to. */
const PRIVATE = new BlockList();
for (const [network, prefix] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.168.0.0", 16],
] as const) {
  PRIVATE.addSubnet(network, prefix, "ipv4");
}
for (const [network, prefix] of [
  ["::", 127],
  ["fc00::", 7],
  ["fe80::", 10],
] as const) {
  PRIVATE.addSubnet(network, prefix, "ipv6");
}

export function isPrivateAddress(address: string): boolean {
  return PRIVATE.check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}
