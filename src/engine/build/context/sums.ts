import { createHash, type Hash } from "node:crypto";

/**
 * Docker's sums of context entries: SHA-256 over a selection of the entry's tar header and its content ("tarsum v1" without the time,
 * moby pkg/tarsum). The history of an image shows them (`COPY file:… in /`), and the classic cache compares them.
 */
export interface SumHeader {
  name: string;
  /** With the bits of the file's type, where the archive has them. */
  mode: number;
  user: number;
  group: number;
  sizeBytes: number;
  typeFlag: string;
  linkName: string;
  userName: string;
  groupName: string;
  major: number;
  minor: number;
  attributes: ReadonlyMap<string, Buffer>;
}

/** A hash that has taken the header; the content is still to come. Names are binary strings. */
export function startSum(header: SumHeader): Hash {
  const hash = createHash("sha256");
  const fields: [string, string | number][] = [
    ["name", header.name],
    ["mode", header.mode],
    ["uid", header.user],
    ["gid", header.group],
    ["size", header.sizeBytes],
    ["typeflag", header.typeFlag === "\0" ? (header.name.endsWith("/") ? "5" : "0") : header.typeFlag],
    ["linkname", header.linkName],
    ["uname", header.userName],
    ["gname", header.groupName],
    ["devmajor", header.major],
    ["devminor", header.minor],
  ];
  hash.update(fields.map(([key, value]) => `${key}${value}`).join(""), "latin1");
  for (const [name, value] of [...header.attributes].sort(([a], [b]) => (a < b ? -1 : 1))) hash.update(name, "latin1").update(value);
  return hash;
}

/** The sum of several: `dir:…` or `multi:…`. */
export function joinSums(kind: "dir" | "multi", sums: string[]): string {
  return `${kind}:${createHash("sha256").update(sums.join(","), "latin1").digest("hex")}`;
}
