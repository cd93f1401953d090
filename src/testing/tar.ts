/** A tar writer that writes whatever it is told, the impossible too: for layers that nobody honest would pack. */
export interface Entry {
  name: string;
  type?: "file" | "hardlink" | "symlink" | "character" | "block" | "directory" | "fifo";
  link?: string;
  mode?: number;
  owner?: [user: number, group: number];
  modifiedSeconds?: number;
  content?: string | Buffer;
  /** What the header says; the content's length by default. */
  sizeBytes?: number;
  /** Type flag in place of that of `type`. */
  flag?: string;
  device?: [major: number, minor: number];
  /** Records of a PAX header before the entry. */
  pax?: Record<string, string | Buffer>;
}

const BLOCK_BYTES = 512;
const FLAGS = { file: "0", hardlink: "1", symlink: "2", character: "3", block: "4", directory: "5", fifo: "6" };
const MODIFIED_SECONDS = 1_600_000_000;

export function tar(...entries: Entry[]): Buffer {
  return Buffer.concat([...entries.map(packed), Buffer.alloc(2 * BLOCK_BYTES)]);
}

function packed({ pax: asked, ...entry }: Entry): Buffer {
  const content = Buffer.from(entry.content ?? "");
  const body = Buffer.concat([header(entry, content.length), content, padding(content.length)]);
  const long = [["path", entry.name] as const, ["linkpath", entry.link ?? ""] as const].filter(([, name]) => name.length > 100);
  const pax = { ...Object.fromEntries(long), ...asked };
  if (Object.keys(pax).length === 0) return body;
  const records = Buffer.concat(Object.entries(pax).map(([key, value]) => record(key, Buffer.from(value))));
  return Buffer.concat([packed({ name: "pax", flag: "x", content: records }), body]);
}

function header(entry: Entry, contentBytes: number): Buffer {
  const { type = "file", mode = type === "directory" ? 0o755 : 0o644, owner = [0, 0], device = [0, 0] } = entry;
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(entry.name.slice(0, 100), 0, "latin1");
  for (const [value, at, digits] of [
    [mode, 100, 7],
    [owner[0], 108, 7],
    [owner[1], 116, 7],
    [entry.sizeBytes ?? contentBytes, 124, 11],
    [entry.modifiedSeconds ?? MODIFIED_SECONDS, 136, 11],
    [device[0], 329, 7],
    [device[1], 337, 7],
  ] as const) {
    block.write(value.toString(8).padStart(digits, "0"), at);
  }
  block.write(" ".repeat(8), 148);
  block.write(entry.flag ?? FLAGS[type], 156);
  block.write(entry.link ?? "", 157, 100, "latin1");
  block.write("ustar\u000000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}

/** `LENGTH KEY=VALUE\n`, where the length counts itself. */
function record(key: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), value, Buffer.from("\n")]);
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function padding(bytes: number): Buffer {
  return Buffer.alloc((BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES);
}
