import { type FileHandle, open } from "node:fs/promises";
import { constants, createGzip, type Gzip } from "node:zlib";
import { LOG_MODE } from "./log-rotation.ts";

const BLOCK_BYTES = 64 * 1024;

/**
 * Writes what `source` holds to `target`, compressed and durable; gives the size. Block by block through the thread pool, at its fastest:
 * a log of ordinary lines shrinks to a tenth or less at some hundred megabytes a second.
 */
export async function compress(source: FileHandle, target: string): Promise<number> {
  await using output = await open(target, "w", LOG_MODE);
  const gzip = createGzip({ level: constants.Z_BEST_SPEED, chunkSize: BLOCK_BYTES });
  void feed(source, gzip);
  let sizeBytes = 0;
  for await (const piece of gzip) {
    const bytes = piece as Buffer; // A gzip without an encoding gives Buffers.
    await output.appendFile(bytes);
    sizeBytes += bytes.length;
  }
  await output.datasync();
  return sizeBytes;
}

async function feed(source: FileHandle, gzip: Gzip): Promise<void> {
  const block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  try {
    for (let offset = 0; ;) {
      const { bytesRead } = await source.read(block, 0, block.length, offset);
      if (bytesRead === 0) break;
      offset += bytesRead;
      // When it calls back it has taken the bytes: one block serves for all of them.
      await new Promise<void>((resolve, reject) => {
        gzip.write(block.subarray(0, bytesRead), (error) => (error ? reject(error) : resolve()));
      });
    }
    gzip.end();
  } catch (error) {
    // Whoever reads from it gets to know.
    gzip.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}
