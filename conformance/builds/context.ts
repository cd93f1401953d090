import { chmodSync, chownSync, linkSync, lutimesSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";

import { type Entry, tar } from "../../src/testing/tar.ts";

/** A file of a case's context: a text, or more about it. What names nothing else is a regular file, or a folder when its path ends in `/`. */
export type File =
  | string
  | {
      content?: string;
      /** Bytes that are no text. */
      base64?: string;
      /** A file of so many bytes, or a folder with so many files. */
      bytes?: number;
      files?: number;
      symlink?: string;
      hardlink?: string;
      fifo?: true;
      device?: [major: number, minor: number];
      mode?: number;
      owner?: [user: number, group: number];
      /** Extended attributes, in base64. */
      attributes?: Record<string, string>;
      /** Seconds since 1970. */
      modified?: number;
      /** An archive of these files; not compressed. */
      tar?: Record<string, File>;
    };

/** The archive of a context, in the order in which Docker's client packs one. */
export function packContext(files: Record<string, File>): Buffer {
  return tar(...entriesOf(files));
}

/** Writes a context to disk, for clients that read folders. */
export function writeContext(folder: string, files: Record<string, File>): void {
  mkdirSync(folder, { recursive: true });
  const entries = entriesOf(files);
  for (const { name, type = "file", content = "", link = "", mode = 0o644, owner } of entries) {
    const target = path.join(folder, name);
    if (type === "directory") mkdirSync(target, { recursive: true });
    else if (type === "symlink") symlinkSync(link, target);
    else if (type === "hardlink") linkSync(path.join(folder, link), target);
    else writeFileSync(target, content);
    if (type === "symlink" || type === "hardlink") continue;
    if (owner !== undefined) chownSync(target, ...owner);
    chmodSync(target, type === "directory" && mode === 0o644 ? 0o755 : mode);
  }
  // Folders last: what is made in one changes its time.
  for (const { name, modifiedSeconds } of entries.toReversed())
    lutimesSync(path.join(folder, name), modifiedSeconds ?? MODIFIED_SECONDS, modifiedSeconds ?? MODIFIED_SECONDS);
}

/** Of everything in a context. */
export const MODIFIED_SECONDS = 1_600_000_000;

function entriesOf(files: Record<string, File>): Entry[] {
  const all = new Map<string, File>();
  for (const [name, file] of Object.entries(files)) {
    const clean = name.replace(/\/$/, "");
    for (let slash = clean.indexOf("/"); slash !== -1; slash = clean.indexOf("/", slash + 1)) {
      const above = `${clean.slice(0, slash)}/`;
      if (files[above] === undefined) all.set(above, {});
    }
    all.set(name, file);
    const many = typeof file === "string" ? 0 : (file.files ?? 0);
    for (let index = 0; index < many; index += 1) all.set(`${clean}/${String(index).padStart(5, "0")}`, `file ${index}\n`);
  }
  const key = (name: string): string => name.replace(/\/$/, "").replaceAll("/", "\0");
  return [...all]
    .toSorted(([a], [b]) => Buffer.compare(Buffer.from(key(a)), Buffer.from(key(b))))
    .map(([name, file]) => entryOf(name, file));
}

function entryOf(name: string, file: File): Entry {
  if (typeof file === "string") return entryOf(name, { content: file });
  const { mode, owner, modified, attributes = {} } = file;
  const pax: [string, string | Buffer][] = Object.entries(attributes).map(([key, value]) => [
    `SCHILY.xattr.${key}`,
    Buffer.from(value, "base64"),
  ]);
  // Headers are ASCII; Docker's client, too, puts the rest into PAX records.
  if (/[^\0-\x7f]/.test(name)) pax.push(["path", name]);
  const all: Entry = {
    name,
    ...(mode === undefined ? {} : { mode }),
    ...(owner === undefined ? {} : { owner }),
    ...(modified === undefined ? {} : { modifiedSeconds: modified }),
    ...(pax.length === 0 ? {} : { pax: Object.fromEntries(pax) }),
  };
  if (name.endsWith("/")) return { ...all, type: "directory" };
  if (file.symlink !== undefined) return { ...all, type: "symlink", link: file.symlink, mode: 0o777 };
  if (file.hardlink !== undefined) return { ...all, type: "hardlink", link: file.hardlink };
  if (file.fifo === true) return { ...all, type: "fifo" };
  if (file.device !== undefined) return { ...all, type: "character", device: file.device };
  return { ...all, content: contentOf(file) };
}

function contentOf(file: Exclude<File, string>): string | Buffer {
  if (file.tar !== undefined) return packContext(file.tar);
  if (file.base64 !== undefined) return Buffer.from(file.base64, "base64");
  // 251 is prime, so that no two blocks are alike.
  if (file.bytes !== undefined) return Buffer.from(Uint8Array.from({ length: file.bytes }, (_, index) => index % 251));
  return file.content ?? "";
}
