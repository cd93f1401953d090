/** Where the project is, and the Node that runs it. */
import { existsSync, statSync } from "node:fs";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";

export const projectRoot = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

export const NODE_MAJOR = 24;

/** The Node that tools/node24/package-lock.json brings, whether or not it is there yet. */
export const ownNode = path.join(projectRoot, `tools/node24/node_modules/node-linux-${process.arch}/bin/node`);

/** A Node of the needed version: the one that runs this, the first on PATH, the project's own; undefined when there is none. */
export function findNode() {
  if (majorOf(process.version) >= NODE_MAJOR) return process.execPath;
  if (existsSync(ownNode)) return ownNode;
  for (const folder of (process.env["PATH"] ?? "").split(":")) {
    const candidate = path.join(folder, "node");
    if (!statSync(candidate, { throwIfNoEntry: false })?.isFile()) continue;
    try {
      if (majorOf(execFileSync(candidate, ["--version"], { encoding: "utf8" })) >= NODE_MAJOR) return candidate;
    } catch {
      // Not a Node that runs.
    }
  }
  return undefined;
}

function majorOf(version) {
  return Number(/^v(\d+)/.exec(version)?.[1] ?? 0);
}
