import type { LogFile } from "./log-files.ts";

/** So much is read, decoded and handed on at a time: less than a millisecond of the event loop. */
const BLOCK_BYTES = 256 * 1024;
/** Kept for the next reader; one that waits for a container to write holds none. */
const MAX_SPARE_BLOCKS = 4;
const spareBlocks: Buffer[] = [];

/** The bytes of a plain file from `offset` to its end as it is then. A block is good until the next one is asked for. */
export async function* readPlain({ handle }: LogFile, offset: number): AsyncGenerator<Buffer> {
  const block = spareBlocks.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
  try {
    for (let at = offset; ;) {
      const { bytesRead } = await handle.read(block, 0, BLOCK_BYTES, at);
      if (bytesRead === 0) return;
      at += bytesRead;
      yield block.subarray(0, bytesRead);
    }
  } finally {
    if (spareBlocks.length < MAX_SPARE_BLOCKS) spareBlocks.push(block);
  }
}

/** The bytes of a compressed file. zlib works in a thread; it is loaded only here, for few logs are compressed. */
export async function* readCompressed({ handle }: LogFile): AsyncGenerator<Buffer> {
  const { createGunzip } = await import("node:zlib");
  const source = handle.createReadStream({ start: 0, autoClose: false });
  const gunzip = createGunzip({ chunkSize: BLOCK_BYTES });
  source.on("error", (error) => gunzip.destroy(error));
  try {
    for await (const chunk of source.pipe(gunzip)) yield chunk as Buffer; // A gunzip without an encoding gives Buffers.
  } finally {
    source.destroy();
    gunzip.destroy();
  }
}
