import { createReadStream, createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";

/** Replaces `file` by `file.gz`; a reader sees one of the two, whole. In a file of its own so that zlib is loaded only where it is used. */
export async function compressFile(file: string): Promise<void> {
  const temporary = `${file}.gz.tmp`;
  await pipeline(createReadStream(file), createGzip(), createWriteStream(temporary, { mode: 0o640 }));
  await rename(temporary, `${file}.gz`);
  await rm(file, { force: true });
}
