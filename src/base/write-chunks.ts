import { open } from "node:fs/promises";

const PIECE_BYTES = 1024 * 1024;

/**
 * Writes what comes into a new file, which only we may read. Chunks are gathered into pieces: a request's body comes in thousands of small
 * ones, each of which would cost a trip to a thread. While one piece is written, the next is filled.
 */
export async function writeChunks(path: string, chunks: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  let filling = Buffer.allocUnsafeSlow(PIECE_BYTES);
  let spare = Buffer.allocUnsafeSlow(PIECE_BYTES);
  let filled = 0;
  let writing: Promise<unknown> = Promise.resolve();
  const flush = async (): Promise<void> => {
    await writing;
    writing = file.writeFile(filling.subarray(0, filled));
    // It is heard of at the next flush.
    writing.catch(() => undefined);
    [filling, spare] = [spare, filling];
    filled = 0;
  };
  try {
    for await (const chunk of chunks) {
      signal?.throwIfAborted();
      for (let at = 0; at < chunk.length;) {
        const taken = Math.min(chunk.length - at, PIECE_BYTES - filled);
        filling.set(chunk.subarray(at, at + taken), filled);
        at += taken;
        filled += taken;
        if (filled === PIECE_BYTES) await flush();
      }
    }
    await flush();
  } finally {
    // Nobody writes any more when the file is closed.
    await writing.catch(() => undefined);
  }
  await writing;
}
