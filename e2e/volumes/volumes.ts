import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { expect } from "vitest";

import type { TestDaemon } from "../../src/testing/daemon.ts";
import type { Entry } from "../../src/testing/tar.ts";
import { build, context } from "../build/build.ts";

/** What the tests of volumes have in common. */

/** Builds `FROM busybox` with these files added at the root, and more instructions. */
export async function makeImage(daemon: TestDaemon, name: string, entries: Entry[], instructions = ""): Promise<void> {
  const files = entries.map((entry) => ({
    ...entry,
    name: `root/${entry.name}`,
    ...(entry.type === "hardlink" ? { link: `root/${entry.link}` } : {}),
  }));
  const root: Entry = { name: "root/", type: "directory" };
  const said = await build(daemon, context(`FROM busybox\nCOPY root /\n${instructions}\n`, root, ...files), `t=${name}`);
  expect(said.error).toBe("");
}

/** An image whose files are just as they are in the archive: through an import, which makes no copies. */
export async function importImage(daemon: TestDaemon, name: string, archive: Buffer, changes: string[] = []): Promise<void> {
  const query = [`fromSrc=-`, `repo=${name}`, ...changes.map((change) => `changes=${encodeURIComponent(change)}`)].join("&");
  const { status, text } = await daemon.api("POST", `/images/create?${query}`, archive);
  expect([status, text]).toEqual([200, expect.not.stringContaining("errorDetail")]);
}

/** A volume's data on the host. */
export function dataOf(daemon: TestDaemon, volume: string): string {
  return path.join(daemon.roots.data, "volumes", volume, "_data");
}

/** The volumes by name, as the stock CLI lists them. */
export async function namesOf(daemon: TestDaemon, ...options: string[]): Promise<string[]> {
  const listed = await daemon.dockerOk("volume", "ls", "-q", ...options);
  return listed === "" ? [] : listed.split("\n");
}

/** What is in the folder of volumes: the names, and in each nothing but its data. */
export function foldersOf(daemon: TestDaemon): string[] {
  const root = path.join(daemon.roots.data, "volumes");
  if (!existsSync(root)) return [];
  return readdirSync(root).flatMap((name) => readdirSync(path.join(root, name)).map((inner) => `${name}/${inner}`));
}
