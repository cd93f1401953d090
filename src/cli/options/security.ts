import { readFileSync } from "node:fs";
import { codeOf, messageOf } from "../../base/errors.ts";
import { reformatJson } from "../engine/json.ts";

/** `--security-opt`: a seccomp profile is read here and sent whole; `systempaths=unconfined` is ours to turn into empty path lists. */
export function parseSecurityOptions(given: readonly string[]): { options: string[]; systemPathsUnconfined: boolean } {
  const options: string[] = [];
  let systemPathsUnconfined = false;
  for (const option of given) {
    const [, key = option, value = ""] =
      /^([^=]*)=(.*)$/s.exec(option) ?? (option === "no-new-privileges" ? [] : /^([^:]*):(.*)$/s.exec(option)) ?? [];
    if (value === "" && key !== "no-new-privileges") throw new Error(`Invalid --security-opt: ${JSON.stringify(option)}`);
    if (option === "systempaths=unconfined") systemPathsUnconfined = true;
    else if (key === "seccomp" && value !== "builtin" && value !== "unconfined") options.push(`seccomp=${readProfile(value)}`);
    else options.push(option);
  }
  return { options, systemPathsUnconfined };
}

function readProfile(file: string): string {
  let text;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    const reason = codeOf(error) === "ENOENT" ? `open ${file}: no such file or directory` : messageOf(error);
    throw new Error(`opening seccomp profile (${file}) failed: ${reason}`, { cause: error });
  }
  try {
    JSON.parse(text);
  } catch (error) {
    throw new Error(`compacting json for seccomp profile (${file}) failed: ${messageOf(error)}`, { cause: error });
  }
  return reformatJson(text, "");
}

/** Capability names as the engine keeps them: upper case with CAP_, sorted, each once; ALL stands alone. */
export function normaliseCapabilities(names: readonly string[]): string[] | null {
  if (names.length === 0) return null;
  const normal = names
    .map((name) => name.trim().toUpperCase())
    .map((name) => (name === "ALL" || name.startsWith("CAP_") ? name : `CAP_${name}`));
  return [...new Set(normal)].sort();
}

const SYSCTLS = new Set(
  ["msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced"].map((name) => `kernel.${name}`),
);

/** Only sysctls of a container's own namespaces. */
export function checkSysctl(text: string): string {
  const name = /^([^=]+)=/.exec(text)?.[1];
  if (name === undefined || !(SYSCTLS.has(name) || name.startsWith("net.") || name.startsWith("fs.mqueue.")))
    throw new Error(`sysctl '${text}' is not allowed`);
  return text;
}
