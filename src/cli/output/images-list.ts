import { familiarName, parseReference } from "../reference.ts";
import type { Row } from "../templates/go-values.ts";
import type { List } from "./list.ts";
import { formatAgo, formatLocalTime, formatSize } from "./units.ts";

/** The rows of `images`: one for each tag, and one for each digest where digests are shown. */

/** What we read of `GET /images/json`. */
export type ImageSummary = {
  readonly Id: string;
  readonly RepoTags: readonly string[] | null;
  readonly RepoDigests: readonly string[] | null;
  readonly Created: number;
  readonly Size: number;
  readonly SharedSize: number;
  readonly Containers: number;
};

const headings = {
  ID: "IMAGE ID",
  Repository: "REPOSITORY",
  Tag: "TAG",
  Digest: "DIGEST",
  CreatedSince: "CREATED",
  CreatedAt: "CREATED AT",
  Size: "SIZE",
  Containers: "CONTAINERS",
  VirtualSize: "SIZE",
  SharedSize: "SHARED SIZE",
  UniqueSize: "UNIQUE SIZE",
};

export type ImageListOptions = { readonly truncate: boolean; readonly digests: boolean; readonly needsDigest: boolean };

export function imageList(images: readonly ImageSummary[], options: ImageListOptions): List {
  return { rowType: "*formatter.imageContext", headings, rows: images.flatMap((image) => imageRows(image, options)) };
}

function imageRows(image: ImageSummary, options: ImageListOptions): Row[] {
  const row = (repository: string, tag: string, digest: string): Row => imageRow(image, options.truncate, repository, tag, digest);
  const tags = byRepository(image.RepoTags ?? [], "tag");
  const digests = byRepository(image.RepoDigests ?? [], "digest");
  if (tags.size === 0 && digests.size === 0) return [row("<none>", "<none>", "<none>")];
  const rows: Row[] = [];
  for (const [repository, names] of tags) {
    const own = options.needsDigest ? (digests.get(repository) ?? []) : [];
    digests.delete(repository);
    for (const tag of names)
      rows.push(...(own.length === 0 ? [row(repository, tag, "<none>")] : own.map((digest) => row(repository, tag, digest))));
  }
  for (const [repository, all] of digests) {
    rows.push(...(options.digests ? all.map((digest) => row(repository, "<none>", digest)) : [row(repository, "<none>", "")]));
  }
  return rows;
}

/** The tags or digests of each repository; what is no reference (`<none>:<none>`) is left out. */
function byRepository(references: readonly string[], part: "tag" | "digest"): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const text of references) {
    let reference;
    try {
      reference = parseReference(text);
    } catch {
      continue;
    }
    const value = reference[part];
    if (value === undefined) continue;
    const name = familiarName(reference);
    found.set(name, [...(found.get(name) ?? []), value]);
  }
  return found;
}

function imageRow(image: ImageSummary, truncate: boolean, repository: string, tag: string, digest: string): Row {
  const unknown = (size: number): boolean => size === -1;
  return {
    ID: () => (truncate ? image.Id.replace(/^sha256:/, "").slice(0, 12) : image.Id),
    Repository: () => repository,
    Tag: () => tag,
    Digest: () => digest,
    CreatedSince: () => formatAgo(image.Created),
    CreatedAt: () => formatLocalTime(image.Created),
    Size: () => formatSize(image.Size, 3),
    Containers: () => (unknown(image.Containers) ? "N/A" : String(image.Containers)),
    VirtualSize: () => formatSize(image.Size, 4),
    SharedSize: () => (unknown(image.SharedSize) ? "N/A" : formatSize(image.SharedSize, 4)),
    UniqueSize: () => (unknown(image.Size) || unknown(image.SharedSize) ? "N/A" : formatSize(image.Size - image.SharedSize, 4)),
  };
}
