import { Buffer } from "node:buffer";

/** The headers of a tar archive, in the form that docker's client writes: ustar, PAX where that has no room, owned by root, mtimes cut to seconds. */

export const BLOCK_BYTES = 512;

export type TarEntry = {
  /** A folder's name ends in a slash. */
  readonly name: string;
  readonly type: keyof typeof FLAGS;
  readonly mode: number;
  readonly sizeBytes: number;
  readonly mtimeSeconds: number;
  readonly link?: string;
  readonly device?: { readonly major: number; readonly minor: number };
};

const FLAGS = { file: "0", hardlink: "1", symlink: "2", character: "3", block: "4", folder: "5", fifo: "6", pax: "x" } as const;

const NAME_BYTES = 100;
const PREFIX_BYTES = 155;
const MODE_BITS = 0o7777;
/** What eleven octal digits hold. */
const MAX_OCTAL = 0o77777777777;

/** Where each number stands, and its digits; a NUL follows. */
const FIELDS = {
  mode: [100, 7],
  owner: [108, 7],
  group: [116, 7],
  size: [124, 11],
  mtime: [136, 11],
  major: [329, 7],
  minor: [337, 7],
} as const;

/** One entry's header, with the PAX header in front of it where it needs one. */
export function tarHeader(entry: TarEntry): Buffer {
  const records: [string, string][] = [];
  if (!fits(entry.link ?? "")) records.push(["linkpath", entry.link ?? ""]);
  if (entry.mtimeSeconds < 0 || entry.mtimeSeconds > MAX_OCTAL) records.push(["mtime", String(entry.mtimeSeconds)]);
  const split = splitName(entry.name);
  if (split === undefined) records.push(["path", entry.name]);
  if (entry.sizeBytes > MAX_OCTAL) records.push(["size", String(entry.sizeBytes)]);
  const own = ustar(entry, split);
  if (records.length === 0) return own;
  const content = Buffer.from(records.map(([key, value]) => paxRecord(key, value)).join(""));
  const name = entry.name.replace(/[^/]*$/, "PaxHeaders.0/$&").replace(/\/$/, "");
  const pax = ustar({ name, type: "pax", mode: 0, sizeBytes: content.length, mtimeSeconds: 0 });
  return Buffer.concat([pax, content, tarPadding(content.length), own]);
}

export function tarPadding(sizeBytes: number): Buffer {
  return Buffer.alloc((BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES);
}

/** What ends an archive. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * BLOCK_BYTES);
}

type SplitName = { readonly prefix: string; readonly name: string };

function ustar({ name, type, mode, sizeBytes, mtimeSeconds, link = "", device }: TarEntry, split?: SplitName): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const octal = (field: keyof typeof FIELDS, value: number): void => {
    const [at, digits] = FIELDS[field];
    block.write(value.toString(8).padStart(digits, "0"), at, "latin1");
  };
  block.write(split?.name ?? ascii(name), 0, NAME_BYTES, "latin1");
  octal("mode", mode & MODE_BITS);
  octal("owner", 0);
  octal("group", 0);
  octal("size", sizeBytes > MAX_OCTAL ? 0 : sizeBytes);
  octal("mtime", mtimeSeconds < 0 || mtimeSeconds > MAX_OCTAL ? 0 : mtimeSeconds);
  block.write(FLAGS[type], 156, "latin1");
  block.write(ascii(link), 157, NAME_BYTES, "latin1");
  block.write("ustar\u000000", 257, "latin1");
  if (type !== "pax") {
    octal("major", device?.major ?? 0);
    octal("minor", device?.minor ?? 0);
  }
  block.write(split?.prefix ?? "", 345, PREFIX_BYTES, "latin1");
  // The sum counts itself as spaces.
  let sum = 8 * 0x20;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

/** A long name as a folder and the rest, where each has room; undefined where it has none. */
function splitName(name: string): SplitName | undefined {
  if (fits(name)) return { prefix: "", name };
  const slash = name.lastIndexOf("/", Math.min(PREFIX_BYTES, name.replace(/\/$/, "").length - 1));
  const [prefix, rest] = [name.slice(0, Math.max(0, slash)), name.slice(slash + 1)];
  return slash > 0 && isAscii(name) && rest.length <= NAME_BYTES ? { prefix, name: rest } : undefined;
}

function fits(text: string): boolean {
  return text.length <= NAME_BYTES && isAscii(text);
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}

/** For those that cannot read PAX: what is not ASCII is left out. */
function ascii(text: string): string {
  return text.replaceAll(/[^\x20-\x7e]/g, "");
}

/** `LENGTH KEY=VALUE\n`, where the length counts itself. */
function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`;
  let length = Buffer.byteLength(rest);
  while (String(length).length + Buffer.byteLength(rest) !== length) length = String(length).length + Buffer.byteLength(rest);
  return `${length}${rest}`;
}
