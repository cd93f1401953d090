import { createReadStream, fstatSync, openSync } from "node:fs";
import { codeOf, messageOf } from "../../base/errors.ts";
import { CommandFailure } from "../failure.ts";

/** An archive to send, opened before anything is asked of the engine. */
export function openArchive(file: string): AsyncIterable<Buffer> {
  let descriptor;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    const why = codeOf(error) === "ENOENT" ? "no such file or directory" : messageOf(error);
    throw new CommandFailure(`open ${file}: ${why}`, 1, { cause: error });
  }
  if (fstatSync(descriptor).isDirectory()) throw new CommandFailure(`read ${file}: is a directory: name an archive of files`);
  return createReadStream(file, { fd: descriptor });
}
