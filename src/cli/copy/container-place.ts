import type { Client } from "../engine/client.ts";
import { containerPath } from "../engine/containers.ts";

/** What the engine says of a path in a container (`X-Docker-Container-Path-Stat`). */
export type PathStat = {
  readonly isFolder: boolean;
  readonly isSymlink: boolean;
  readonly isDevice: boolean;
  readonly linkTarget: string;
};

/** Bits of Go's FileMode. */
const FOLDER = 2 ** 31;
const SYMLINK = 2 ** 27;
const DEVICE = 2 ** 26;

/** What is there; undefined where nothing is, or where the engine would not say. */
export async function statInContainer(client: Client, container: string, path: string): Promise<PathStat | undefined> {
  try {
    const { headers, body } = await client.answer("HEAD", containerPath(container, "archive"), { query: { path } });
    body.destroy();
    return readStat(headers);
  } catch {
    // What comes next fails the same way, and says why.
    return undefined;
  }
}

export function readStat(headers: Readonly<Record<string, string>>): PathStat {
  const text = Buffer.from(headers["x-docker-container-path-stat"] ?? "", "base64").toString("utf8");
  // The Engine API's shape.
  const { mode, linkTarget } = JSON.parse(text) as { mode: number; linkTarget: string };
  const has = (bit: number): boolean => Math.floor(mode / bit) % 2 === 1;
  return { isFolder: has(FOLDER), isSymlink: has(SYMLINK), isDevice: has(DEVICE), linkTarget };
}
