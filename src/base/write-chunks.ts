import { open, type FileHandle } from "node:fs/promises";

const PIECE_BYTES = 1024 * 1024;

/**
 * Writes what comes into a new file, which only we may read. Chunks are gathered into pieces: a request's body comes in thousands of small
 * ones, each of which would cost a trip to a thread. While one piece is written, the next is gathered. A chunk must stay as it is.
 */
export async function writeChunks(path: string, chunks: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  let gathered: Uint8Array[] = [];
  let gatheredBytes = 0;
  let writing: Promise<void> = Promise.resolve();
  const flush = async (): Promise<void> => {
    await writing;
    writing = writeAll(file, gathered, gatheredBytes);
    // It is heard of at the next flush.
    writing.catch(() => undefined);
    [gathered, gatheredBytes] = [[], 0];
  };
  try {
    for await (const chunk of chunks) {
      signal?.throwIfAborted();
      gathered.push(chunk);
      gatheredBytes += chunk.length;
      if (gatheredBytes >= PIECE_BYTES) await flush();
    }
    await flush();
  } finally {
    // Nobody writes any more when the file is closed.
    await writing.catch(() => undefined);
  }
  await writing;
}

/** Less is written at once when the disk fills up; what is left then fails. */
async function writeAll(file: FileHandle, chunks: Uint8Array[], bytes: number): Promise<void> {
  if (bytes === 0) return;
  const { bytesWritten } = await file.writev(chunks);
  if (bytesWritten < bytes) await file.writeFile(Buffer.concat(chunks).subarray(bytesWritten));
}
