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

export const IMAGE_ROW = "*formatter.imageContext";

const NONE = "<none>";

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
  return { rowType: IMAGE_ROW, headings, rows: images.flatMap((image) => imageRows(image, options)) };
}

/** One row for an image, by the first of its names. */
export function shortImageList(images: readonly ImageSummary[], truncate: boolean): List {
  const rows = images.map((image) => {
    const [[repository, [tag = NONE]] = [NONE, [NONE]]] = byRepository(image.RepoTags?.slice(0, 1) ?? [], "tag");
    return imageRow(image, truncate, repository, tag, "");
  });
  return { rowType: IMAGE_ROW, headings, rows };
}

function imageRows(image: ImageSummary, options: ImageListOptions): Row[] {
  const row = (repository: string, tag: string, digest: string): Row => imageRow(image, options.truncate, repository, tag, digest);
  const tags = byRepository(image.RepoTags ?? [], "tag");
  const digests = byRepository(image.RepoDigests ?? [], "digest");
  if (tags.size === 0 && digests.size === 0) return [row(NONE, NONE, NONE)];
  const rows: Row[] = [];
  for (const [repository, names] of tags) {
    const own = options.needsDigest ? (digests.get(repository) ?? []) : [];
    digests.delete(repository);
    for (const tag of names)
      rows.push(...(own.length === 0 ? [row(repository, tag, NONE)] : own.map((digest) => row(repository, tag, digest))));
  }
  for (const [repository, all] of digests) {
    rows.push(...(options.digests ? all.map((digest) => row(repository, NONE, digest)) : [row(repository, NONE, "")]));
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
