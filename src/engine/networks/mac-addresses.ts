import { parseIp } from "./prefixes.ts";

/** The MAC address Docker derives from an IPv4 address, or of IPv6 from its end: a reused address keeps its MAC, so neighbours' caches stay right. */
export function macOf(address: string): string {
  const value = parseIp(address)?.value ?? 0n;
  const bytes = [0x02, 0x42, ...[24n, 16n, 8n, 0n].map((shift) => Number((value >> shift) & 0xffn))];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
