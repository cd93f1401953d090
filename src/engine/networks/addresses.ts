import { isIPv4 } from "node:net";

import { EngineError } from "../../base/errors.ts";

/** IPv4 addresses as numbers, and networks of them. Pure. */
export interface Subnet {
  /** First address: the network's own. */
  base: number;
  prefixLength: number;
}

export function parseAddress(text: string): number | undefined {
  if (!isIPv4(text)) return undefined;
  return text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

export function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join(".");
}

/** `172.17.0.1/16` as the address and the network it is in. */
export function parseCidr(text: string): { address: number; subnet: Subnet } | undefined {
  const match = /^([\d.]+)\/(\d{1,2})$/.exec(text);
  const address = parseAddress(match?.[1] ?? "");
  const prefixLength = Number(match?.[2]);
  if (address === undefined || prefixLength > 32) return undefined;
  return { address, subnet: subnetOf(address, prefixLength) };
}

/** The same, for what was checked before. */
export function requireSubnet(text: string): Subnet {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new EngineError("invalid", `not an IPv4 network: ${text}: write it like 172.17.0.0/16`);
  return parsed.subnet;
}

export function subnetOf(address: number, prefixLength: number): Subnet {
  return { base: address - (address % 2 ** (32 - prefixLength)), prefixLength };
}

export function formatSubnet(subnet: Subnet): string {
  return `${formatAddress(subnet.base)}/${subnet.prefixLength}`;
}

/** Last address: the broadcast address. */
export function lastOf(subnet: Subnet): number {
  return subnet.base + 2 ** (32 - subnet.prefixLength) - 1;
}

export function contains(subnet: Subnet, address: number): boolean {
  return address >= subnet.base && address <= lastOf(subnet);
}

export function overlap(one: Subnet, other: Subnet): boolean {
  return one.base <= lastOf(other) && other.base <= lastOf(one);
}

/** The MAC address Docker derives from an IPv4 address: a reused address keeps its MAC, so neighbours' caches stay right. */
export function macOf(address: number): string {
  const bytes = [0x02, 0x42, ...[24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff)];
  return bytes.map((byte) => byte.toString(16).padStart(2, "0")).join(":");
}
