import { readFileSync } from "node:fs";
import { isUtf8 } from "node:buffer";
import { cut } from "./values.ts";
import { codeOf } from "../../base/errors.ts";

/** `-e NAME=value`, `-e NAME` (taken from our environment, left out of it where it is not set), and files of such lines. */

/** A variable given on the command line. */
export function checkVariable(text: string): string {
  const [name, value] = cut(text, "=");
  if (name === "") throw new Error(`invalid environment variable: ${text}`);
  if (value !== undefined) return text;
  const ours = process.env[name];
  return ours === undefined ? text : `${name}=${ours}`;
}

export function checkLabel(text: string): string {
  const name = cut(text, "=")[0].replace(/^[ \t]+/, "");
  if (name === "") throw new Error(`invalid label '${text}': empty name`);
  if (/[ \t]/.test(name)) throw new Error(`label '${name}' contains whitespaces`);
  return text;
}

/** The lines of all files, then what was given directly, which so wins. Bare names are looked up in `environment`, or dropped. */
export function readPairs(
  files: readonly string[],
  given: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): string[] {
  return [...files.flatMap((file) => readPairFile(file, environment)), ...given];
}

function readPairFile(file: string, environment: Readonly<Record<string, string | undefined>>): string[] {
  let content;
  try {
    content = readFileSync(file);
  } catch (error) {
    if (codeOf(error) === "ENOENT") throw new Error(`open ${file}: no such file or directory`, { cause: error });
    throw error;
  }
  const pairs: string[] = [];
  const lines = content
    .toString("utf8")
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/);
  if (!isUtf8(content)) {
    const number = lines.findIndex((line) => line.includes("\uFFFD")) + 1;
    throw new Error(`invalid env file (${file}): invalid utf8 bytes at line ${number}`);
  }
  for (const raw of lines) {
    const line = raw.trimStart();
    if (line === "" || line.startsWith("#")) continue;
    const [name, value] = cut(line, "=");
    if (name === "") throw new Error(`invalid env file (${file}): no variable name on line '${line}'`);
    if (/[ \t]/.test(name)) throw new Error(`invalid env file (${file}): variable '${name}' contains whitespaces`);
    const found = value === undefined ? environment[line] : undefined;
    if (value !== undefined) pairs.push(line);
    else if (found !== undefined) pairs.push(`${name}=${found}`);
  }
  return pairs;
}
