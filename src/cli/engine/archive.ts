import { createReadStream, fstatSync, openSync } from "node:fs";
import { reasonOf } from "../../base/errors.ts";
import { CommandFailure } from "../failure.ts";

/** An archive to send, opened before anything is asked of the engine. */
export function openArchive(file: string): AsyncIterable<Buffer> {
  let descriptor;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    throw new CommandFailure(`open ${file}: ${reasonOf(error)}`, 1, { cause: error });
  }
  if (fstatSync(descriptor).isDirectory()) throw new CommandFailure(`read ${file}: is a directory: name an archive of files`);
  return createReadStream(file, { fd: descriptor });
}
