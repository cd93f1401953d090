import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync, type BigIntStats } from "node:fs";

import { attributesOf } from "../../src/kernel/file-attributes.ts";

/**
 * Everything that a tree of files is, one line a file: type, mode, owner, size, content, time, target, attributes, device and names of the
 * same file. Names are binary strings, since a layer's need not be UTF-8. What is mounted below is left out.
 */
export function describeTree(root: string, options: { times: "ns" | "s" }): Map<string, string> {
  const tree = new Map<string, string>();
  const firstNames = new Map<bigint, string>();
  const { dev } = statOf(root);
  const visit = (name: string): void => {
    const file = `${root}/${name}`;
    const status = statOf(file);
    if (status.dev !== dev) return;
    if (!firstNames.has(status.ino)) firstNames.set(status.ino, name);
    const time = options.times === "ns" ? status.mtimeNs : status.mtimeNs / 1_000_000_000n;
    tree.set(
      name,
      [
        `mode ${status.mode.toString(8)} owner ${status.uid}:${status.gid} time ${time} device ${status.rdev}`,
        ...(status.isFile() ? [`size ${status.size} ${digestOf(file)} also ${firstNames.get(status.ino)}`] : []),
        ...(status.isSymbolicLink() ? [`to ${readlinkSync(bytes(file), "latin1")}`] : []),
        ...[...attributesOf(file)].map(([key, value]) => `${key}=${value.toString("hex")}`).toSorted(),
      ].join(", "),
    );
    if (!status.isDirectory()) return;
    const names = readdirSync(bytes(file), "buffer").map((child) => child.toString("latin1"));
    for (const child of names.toSorted()) visit(name === "." ? child : `${name}/${child}`);
  };
  visit(".");
  return tree;
}

/** Lines that one tree has and the other has not, for an assertion that shows them. */
export function differences(expected: Map<string, string>, actual: Map<string, string>): string[] {
  const names = [...new Set([...expected.keys(), ...actual.keys()])].toSorted();
  return names
    .filter((name) => expected.get(name) !== actual.get(name))
    .flatMap((name) => [`- ${name}: ${expected.get(name) ?? "is not there"}`, `+ ${name}: ${actual.get(name) ?? "is not there"}`]);
}

function statOf(file: string): BigIntStats {
  return lstatSync(bytes(file), { bigint: true });
}

function digestOf(file: string): string {
  return createHash("sha256")
    .update(readFileSync(bytes(file)))
    .digest("hex");
}

function bytes(name: string): Buffer {
  return Buffer.from(name, "latin1");
}
