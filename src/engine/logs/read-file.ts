import { pipeline } from "node:stream/promises";

import type { LogFile } from "./log-files.ts";

/** So much is read, decoded and handed on at a time: less than a millisecond of the event loop. */
const BLOCK_BYTES = 256 * 1024;
/** Kept for the next reader; one that waits for a container to write holds none. */
const MAX_SPARE_BLOCKS = 4;
const spareBlocks: Buffer[] = [];
const KNOWN_AGAIN_BYTES = 64;

/** How far a plain file was read, and what stood there: a log of one file is rotated by cutting it to nothing, and may have grown again. */
export interface Position {
  offset: number;
  /** The last bytes before `offset`. No two records are the same, so that they are known again by their ends. */
  lastBytes: Buffer;
}

export function beginning(offset = 0): Position {
  return { offset, lastBytes: Buffer.alloc(0) };
}

/**
 * The bytes of a plain file from `position` to its end as it is then; begins again where the file was cut meanwhile. A block is good until
 * the next one is asked for; that one is read meanwhile.
 */
export async function* readPlain({ handle }: LogFile, position: Position): AsyncGenerator<Buffer> {
  let [block, other] = [takeBlock(), takeBlock()];
  const readNext = (): ReturnType<typeof handle.read> => handle.read(block, 0, BLOCK_BYTES, position.offset - position.lastBytes.length);
  let reading = readNext();
  try {
    for (;;) {
      const { bytesRead } = await reading;
      const known = position.lastBytes;
      if (bytesRead < known.length || !block.subarray(0, known.length).equals(known)) {
        Object.assign(position, beginning());
        reading = readNext();
        continue;
      }
      const bytes = block.subarray(known.length, bytesRead);
      if (bytes.length === 0) return;
      position.offset += bytes.length;
      position.lastBytes = Buffer.from(block.subarray(Math.max(0, bytesRead - KNOWN_AGAIN_BYTES), bytesRead));
      [block, other] = [other, block];
      reading = readNext();
      yield bytes;
    }
  } finally {
    // Neither may the caller close the file nor the next reader have the block before the read is over.
    await reading.catch(() => undefined);
    returnBlocks(block, other);
  }
}

function takeBlock(): Buffer {
  return spareBlocks.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
}

function returnBlocks(...blocks: Buffer[]): void {
  spareBlocks.push(...blocks.slice(0, MAX_SPARE_BLOCKS - spareBlocks.length));
}

/** The bytes of a compressed file. zlib works in a thread; it is loaded only here, for few logs are compressed. */
export async function* readCompressed(file: LogFile): AsyncGenerator<Buffer> {
  const { createGunzip } = await import("node:zlib");
  const gunzip = createGunzip({ chunkSize: BLOCK_BYTES });
  const fed = pipeline(copies(file), gunzip);
  // It is looked at below; until then it must not count as unhandled.
  fed.catch(() => undefined);
  try {
    for await (const chunk of gunzip) yield chunk as Buffer; // A gunzip without an encoding gives Buffers.
  } finally {
    gunzip.destroy();
    // No read may be under way when the caller closes the file.
    await fed.catch(() => undefined);
  }
}

/** gunzip holds on to what it is given. */
async function* copies(file: LogFile): AsyncGenerator<Buffer> {
  for await (const block of readPlain(file, beginning())) yield Buffer.from(block);
}
