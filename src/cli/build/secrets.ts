import { readFileSync, statSync } from "node:fs";
import { MAX_SECRET_BYTES } from "../../api/build-request.ts";
import { reasonOf } from "../../base/errors.ts";
import { CommandFailure } from "../failure.ts";
import { cut, parseCsv } from "../options/values.ts";

/** `--secret id=…,src=FILE|env=NAME`: what a RUN may see while it runs. It is sent with the request, and printed nowhere. */
export function encodeSecrets(given: readonly string[]): string | undefined {
  if (given.length === 0) return undefined;
  const secrets = given.map(parseSecret).map(({ id, file, variable }) => [id, read(id, file, variable).toString("base64")]);
  return Buffer.from(JSON.stringify(Object.fromEntries(secrets))).toString("base64url");
}

type Secret = { readonly id: string; readonly file: string; readonly variable: string };

function parseSecret(given: string): Secret {
  let [id, type, file, variable] = ["", "", "", ""];
  for (const field of parseCsv(given)) {
    const [key, value] = cut(field, "=");
    if (value === undefined) throw new CommandFailure(`invalid field '${field}' must be a key=value pair`);
    if (key === "id") id = value;
    else if (key === "type") type = value;
    else if (key === "source" || key === "src") file = value;
    else if (key === "env") variable = value;
    else throw new CommandFailure(`unexpected key '${key}' in '${field}'`);
  }
  if (!["", "file", "env"].includes(type)) throw new CommandFailure(`unsupported secret type "${type}"`);
  if (id === "") throw new CommandFailure("secret missing ID");
  // `type=env,src=NAME` is an older way to say `env=NAME`; without either, the id names a variable or else a file.
  if (type === "env" && variable === "") [file, variable] = ["", file];
  if (file === "" && variable === "") [file, variable] = process.env[id] === undefined ? [id, ""] : ["", id];
  return { id, file, variable };
}

function read(id: string, file: string, variable: string): Buffer {
  if (variable !== "") return limited(id, Buffer.from(process.env[variable] ?? ""));
  try {
    if (statSync(file).size > MAX_SECRET_BYTES) throw tooBig(id);
    return limited(id, readFileSync(file));
  } catch (error) {
    if (error instanceof CommandFailure) throw error;
    throw new CommandFailure(`failed to stat ${file}: stat ${file}: ${reasonOf(error)}`, 1, { cause: error });
  }
}

function limited(id: string, content: Buffer): Buffer {
  if (content.length > MAX_SECRET_BYTES) throw tooBig(id);
  return content;
}

function tooBig(id: string): CommandFailure {
  return new CommandFailure(`secret ${id} too big. max size 500KB`);
}
