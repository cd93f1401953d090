import { EngineError } from "../../../base/errors.ts";

/** A place in a git repository: `https://host/repo.git#REF:FOLDER`, or with `?ref=…&subdir=…` (Dockerfile syntax 1.18). */
export interface GitReference {
  /** Without the fragment and what the query says to us. */
  url: string;
  /** Branch, tag, or commit; empty: the default branch. */
  ref: string;
  /** Clean and relative; empty: all of it. */
  folder: string;
  /** The commit that must be found. */
  checksum: string | undefined;
}

const SCP_LIKE = /^[\w.-]+@[\w.-]+:[^/].*/;
const OUR_KEYS = new Set(["ref", "tag", "branch", "commit", "checksum", "subdir"]);

/** Undefined for what is no git repository, as Docker tells it: by its scheme, or by the `.git` at the end of its path. */
export function parseGitReference(text: string): GitReference | undefined {
  const [address = "", ...fragments] = text.split("#");
  const fragment = fragments.join("#");
  const isPlain = SCP_LIKE.test(address) || address.startsWith("github.com/");
  const scheme = /^([a-z+]+):\/\//.exec(address)?.[1];
  if (!isPlain && (scheme === undefined || !["git", "ssh", "http", "https"].includes(scheme))) return undefined;
  const [base = "", query = ""] = isPlain ? [address] : address.split("?", 2);
  if ((scheme === "http" || scheme === "https") && !base.endsWith(".git")) return undefined;
  const parameters = new URLSearchParams(query);
  const rest = [...parameters].filter(([name]) => !OUR_KEYS.has(name));
  const [fragmentRef = "", ...fragmentFolder] = fragment.split(":");
  const named = ["ref", "tag", "branch", "commit"].map((name) => parameters.get(name)).find((value) => value !== null);
  const reference: GitReference = {
    url:
      (address.startsWith("github.com/") ? `https://${base}` : base) +
      (rest.length === 0 ? "" : `?${new URLSearchParams(rest).toString()}`),
    ref: named ?? fragmentRef,
    folder: cleanFolder(parameters.get("subdir") ?? fragmentFolder.join(":"), text),
    checksum: parameters.get("checksum") ?? parameters.get("commit") ?? undefined,
  };
  if (/^-|[\s\0]/.test(reference.ref) || reference.url.startsWith("-"))
    throw new EngineError("invalid", `invalid git reference: ${JSON.stringify(text)}`);
  return reference;
}

function cleanFolder(folder: string, text: string): string {
  const parts = folder.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw new EngineError("invalid", `invalid git reference: ${JSON.stringify(text)} leads out of the repository`);
  return parts.join("/");
}
