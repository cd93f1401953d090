/** A small tar writer (ustar) for trees that we make ourselves: owned by root, names of at most 100 bytes. */
export type TarItem =
  | { type: "directory"; name: string; mode: number }
  | { type: "file"; name: string; mode: number; content: Buffer }
  | { type: "symlink"; name: string; target: string };

const BLOCK_BYTES = 512;
const TYPE_FLAG = { file: "0", symlink: "2", directory: "5" };

/** The archive's pieces in order, all with the same modification time. */
export function tarArchive(items: TarItem[], modifiedSeconds: number): Buffer[] {
  const pieces = items.flatMap((item) => {
    const content = item.type === "file" ? item.content : Buffer.alloc(0);
    const padding = Buffer.alloc((BLOCK_BYTES - (content.length % BLOCK_BYTES)) % BLOCK_BYTES);
    return [header(item, content.length, modifiedSeconds), content, padding];
  });
  return [...pieces, Buffer.alloc(2 * BLOCK_BYTES)].filter((piece) => piece.length > 0);
}

function header(item: TarItem, sizeBytes: number, modifiedSeconds: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const name = item.type === "directory" ? `${item.name}/` : item.name;
  if (Buffer.byteLength(name) > 100) throw new Error(`the name ${name} is too long for this tar writer`);
  block.write(name, 0);
  block.write(octal(item.type === "symlink" ? 0o777 : item.mode, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(sizeBytes, 11), 124);
  block.write(octal(modifiedSeconds, 11), 136);
  block.write(" ".repeat(8), 148);
  block.write(TYPE_FLAG[item.type], 156);
  if (item.type === "symlink") block.write(item.target, 157);
  block.write("ustar\u000000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\0 `, 148);
  return block;
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}
