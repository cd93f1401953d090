import { open, rename, rm } from "node:fs/promises";
import path from "node:path";

/**
 * Writes a file so that a reader, or a crash, sees the old content or the new, never a part: temporary name, fsync, rename, fsync of
 * the folder.
 */
export async function writeFileAtomic(
  file: string,
  content: string | Uint8Array,
  mode = 0o600,
  temporary = `${file}.${process.pid}.tmp`,
): Promise<void> {
  const handle = await open(temporary, "w", mode);
  try {
    await handle.writeFile(content);
    await handle.datasync();
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  await syncDirectory(path.dirname(file));
}

/** Makes a folder's names durable. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
