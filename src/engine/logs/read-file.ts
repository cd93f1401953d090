import { pipeline } from "node:stream/promises";

import type { LogFile } from "./log-files.ts";

/** So much is read, decoded and handed on at a time: less than a millisecond of the event loop. */
const BLOCK_BYTES = 256 * 1024;
/** Kept for the next reader; one that waits for a container to write holds none. */
const MAX_SPARE_BLOCKS = 4;
const spareBlocks: Buffer[] = [];

/**
 * The bytes of a plain file from `offset` to its end as it is then. A block is good until the next one is asked for; that one is read
 * meanwhile.
 */
export async function* readPlain({ handle }: LogFile, offset: number): AsyncGenerator<Buffer> {
  let [block, other] = [takeBlock(), takeBlock()];
  let at = offset;
  let reading = handle.read(block, 0, BLOCK_BYTES, at);
  try {
    for (;;) {
      const { bytesRead } = await reading;
      if (bytesRead === 0) return;
      at += bytesRead;
      [block, other] = [other, block];
      reading = handle.read(block, 0, BLOCK_BYTES, at);
      yield other.subarray(0, bytesRead);
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
  for await (const block of readPlain(file, 0)) yield Buffer.from(block);
}
