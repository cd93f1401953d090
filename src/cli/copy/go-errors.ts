import { codeOf, reasonOf } from "../../base/errors.ts";

/** A failure in the words of Go: `lstat /x: no such file or directory`. */
export function goError(call: string, path: string, error: unknown): Error {
  const reason = codeOf(error) === "ELOOP" ? "too many links" : reasonOf(error);
  return new Error(`${call} ${path}: ${reason}`, { cause: error });
}
