import { open, type FileHandle } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";

import { codeOf } from "./errors.ts";

const READ_BYTES = 256 * 1024;
const GROWTH_POLL_MS = 3;

/**
 * The content of a file that somebody makes and fills meanwhile, until `written` resolves; fails when that does. A chunk is only valid until
 * the next is asked for.
 */
export async function* growingFile(path: string, written: Promise<unknown>): AsyncGenerator<Buffer> {
  let isWhole = false;
  const settle = (): void => void (isWhole = true);
  written.then(settle, settle);
  let file: FileHandle | undefined;
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  try {
    for (;;) {
      const wasWhole = isWhole;
      file ??= await openIfThere(path);
      const bytes = (await file?.read(buffer))?.bytesRead ?? 0;
      if (bytes > 0) yield buffer.subarray(0, bytes);
      else if (wasWhole) break;
      else await sleep(GROWTH_POLL_MS);
    }
    await written;
  } finally {
    await file?.close();
  }
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}
