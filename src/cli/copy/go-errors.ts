import { codeOf, messageOf } from "../../base/errors.ts";

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  ENOTDIR: "not a directory",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  EEXIST: "file exists",
  ENOSPC: "no space left on device",
  EROFS: "read-only file system",
  ELOOP: "too many links",
};

/** A failure in the words of Go: `lstat /x: no such file or directory`. */
export function goError(call: string, path: string, error: unknown): Error {
  return new Error(`${call} ${path}: ${WORDS[codeOf(error) ?? ""] ?? messageOf(error)}`, { cause: error });
}
