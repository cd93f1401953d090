/** Tells an archive from a Dockerfile by how it begins. */

const BLOCK_BYTES = 512;

const MAGICS = ["1f8b08", "425a68", "fd377a585a00", "28b52ffd", "504b0304"];

/** Reads as much of a stream as the question takes; `whole` still gives all of it. */
export async function readStart(
  stream: AsyncIterable<string | Uint8Array>,
): Promise<{ isArchive: boolean; whole: AsyncIterable<string | Uint8Array> }> {
  const iterator = stream[Symbol.asyncIterator]();
  let start = Buffer.alloc(0);
  let ended = false;
  while (start.length < BLOCK_BYTES && !ended) {
    const next = await iterator.next();
    if (next.done === true) ended = true;
    else start = Buffer.concat([start, Buffer.from(next.value)]);
  }
  async function* whole(): AsyncGenerator<string | Uint8Array> {
    yield start;
    if (!ended) yield* { [Symbol.asyncIterator]: () => iterator };
  }
  return { isArchive: isArchive(start), whole: whole() };
}

export function isArchive(start: Buffer): boolean {
  const hex = start.toString("hex", 0, 6);
  return MAGICS.some((magic) => hex.startsWith(magic)) || isTarHeader(start.subarray(0, BLOCK_BYTES));
}

/** A tar header holds the sum of its own bytes, counted with spaces in the sum's place. */
function isTarHeader(block: Buffer): boolean {
  if (block.length < BLOCK_BYTES) return false;
  const [, digits] = /^[ \0]*([0-7]+)[ \0]*$/.exec(block.toString("latin1", 148, 156)) ?? [];
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  return digits !== undefined && Number.parseInt(digits, 8) === sum;
}
