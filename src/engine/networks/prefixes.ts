import { isIPv4, isIPv6 } from "node:net";

/** Addresses of both families as numbers, and blocks of them (CIDR). Pure. */
export interface IpAddress {
  family: 4 | 6;
  value: bigint;
}

export interface Prefix {
  family: 4 | 6;
  /** First address. */
  base: bigint;
  length: number;
}

const BITS = { 4: 32, 6: 128 } as const;

export function parseIp(text: string): IpAddress | undefined {
  if (isIPv4(text)) return { family: 4, value: text.split(".").reduce((sum, part) => sum * 256n + BigInt(part), 0n) };
  if (!isIPv6(text) || text.includes("%")) return undefined;
  // An IPv4 address at the end stands for two groups.
  const plain = text.replace(/[\d.]+$/, (tail) => {
    const mapped = isIPv4(tail) ? parseIp(tail) : undefined;
    return mapped === undefined ? tail : `${(mapped.value >> 16n).toString(16)}:${(mapped.value & 0xffffn).toString(16)}`;
  });
  const [head = "", tail] = plain.split("::");
  const groups = (part: string): string[] => (part === "" ? [] : part.split(":"));
  const [before, after] = [groups(head), groups(tail ?? "")];
  const all = [...before, ...Array.from({ length: tail === undefined ? 0 : 8 - before.length - after.length }, () => "0"), ...after];
  return { family: 6, value: all.reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n) };
}

/** The shortest form (RFC 5952). */
export function formatIp({ family, value }: IpAddress): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join(".");
  const groups = Array.from({ length: 8 }, (_, index) => ((value >> BigInt(112 - 16 * index)) & 0xffffn).toString(16));
  const runs = [...groups.join(":").matchAll(/(?<![0-9a-f])0(?::0)+(?![0-9a-f])/g)];
  const longest = runs.reduce((best, [run]) => (run.length > best.length ? run : best), "");
  if (longest === "") return groups.join(":");
  const at = runs.find(([run]) => run === longest)?.index ?? 0;
  const text = groups.join(":");
  return `${text.slice(0, at).replace(/:$/, "")}::${text.slice(at + longest.length).replace(/^:/, "")}`;
}

/** `172.17.0.1/16` as the address and the block it is in. */
export function parsePrefix(text: string): { address: IpAddress; prefix: Prefix } | undefined {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const address = parseIp(match?.[1] ?? "");
  const length = Number(match?.[2]);
  if (address === undefined || length > BITS[address.family]) return undefined;
  return { address, prefix: prefixOf(address, length) };
}

export function prefixOf({ family, value }: IpAddress, length: number): Prefix {
  const hostBits = BigInt(BITS[family] - length);
  return { family, base: (value >> hostBits) << hostBits, length };
}

export function formatPrefix({ family, base, length }: Prefix): string {
  return `${formatIp({ family, value: base })}/${length}`;
}

/** Last address: in IPv4 the broadcast address. */
export function lastIn({ family, base, length }: Prefix): bigint {
  return base + (1n << BigInt(BITS[family] - length)) - 1n;
}

export function isIn(prefix: Prefix, address: IpAddress): boolean {
  return address.family === prefix.family && address.value >= prefix.base && address.value <= lastIn(prefix);
}

export function doOverlap(one: Prefix, other: Prefix): boolean {
  return one.family === other.family && one.base <= lastIn(other) && other.base <= lastIn(one);
}
