import { EngineError } from "../../base/errors.ts";
import { nowNs, parseTimestamp } from "../../base/time.ts";
import { getRecord } from "./find.ts";
import type { ImageRecord, ImageStore } from "./image-store.ts";
import type { Image } from "./images.ts";
import { familiarName, familiarReference, fullName, fullReference, withDefaultTag, type Reference } from "./reference.ts";

const FILTERS = ["dangling", "label", "before", "since", "until", "reference"];

/** Images that pass all filters, newest first, by Docker's rules; images made on the way to others only with `all`. */
export function listImages(store: ImageStore, options: { filters: Map<string, string[]>; all: boolean }): Image[] {
  const { filters, all } = options;
  for (const key of filters.keys()) if (!FILTERS.includes(key)) throw new EngineError("invalid", `invalid filter '${key}'`);
  const dangling = parseDangling(filters.get("dangling"));
  const isInTime = timeFilter(store, filters);
  const patterns = filters.get("reference")?.map(globToRegExp);

  const parents = new Set(store.records().map((record) => record.parent));
  const images: Image[] = [];
  for (const record of store.records()) {
    const image = store.image(record);
    if (!isInTime(image.createdNs) || !hasLabels(record, filters.get("label") ?? [])) continue;
    const references = store.referencesOf(record.id).filter((reference) => patterns === undefined || matches(reference, patterns));
    const shown = {
      ...image,
      tags: references.filter((reference) => reference.tag !== undefined).map(familiarReference),
      digests: references.filter((reference) => reference.digest !== undefined).map(familiarReference),
    };
    const isParent = parents.has(record.id);
    if (references.length === 0) {
      if (dangling === false || patterns !== undefined || (isParent && (!all || dangling === true))) continue;
    } else if (dangling === true && (shown.tags.length > 0 || isParent)) continue;
    images.push(shown);
  }
  return images.sort((a, b) => (a.createdNs < b.createdNs ? 1 : a.createdNs > b.createdNs ? -1 : a.id < b.id ? -1 : 1));
}

function parseDangling(values: string[] | undefined): boolean | undefined {
  if (values === undefined || values.length === 0) return undefined;
  const wanted = new Set(values);
  if (wanted.size === 1 && (wanted.has("true") || wanted.has("1"))) return true;
  if (wanted.size === 1 && (wanted.has("false") || wanted.has("0"))) return false;
  throw new EngineError("invalid", `invalid filter 'dangling=[${[...wanted].join(" ")}]'`);
}

function timeFilter(store: ImageStore, filters: Map<string, string[]>): (createdNs: bigint) => boolean {
  const createdOf = (nameOrId: string): bigint => store.image(getRecord(store, nameOrId)).createdNs;
  const before = [...(filters.get("before") ?? []).map(createdOf), ...(filters.get("until") ?? []).map(parseUntil)];
  const since = (filters.get("since") ?? []).map(createdOf);
  return (createdNs) => before.every((limit) => createdNs < limit) && since.every((limit) => createdNs > limit);
}

const DURATION_UNITS_NS: Record<string, number> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };

/** A time, or a duration as Go writes it (`1h30m`), which counts back from now. */
function parseUntil(value: string): bigint {
  const timestamp = parseTimestamp(value);
  if (timestamp !== undefined) return timestamp;
  const parts = [...value.matchAll(/(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length > 0 && parts.map(([text]) => text).join("") === value) {
    const durationNs = parts.reduce((sum, [, amount, unit = "s"]) => sum + Number(amount) * (DURATION_UNITS_NS[unit] ?? 0), 0);
    return nowNs() - BigInt(Math.round(durationNs));
  }
  const date = Date.parse(/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?)?$/.test(value) ? value : "");
  if (Number.isNaN(date)) {
    throw new EngineError("invalid", `invalid value for 'until' filter: "${value}" is neither a time nor a duration`);
  }
  return BigInt(date) * 1_000_000n;
}

function hasLabels(record: ImageRecord, wanted: string[]): boolean {
  const labels = record.config.config?.Labels ?? {};
  return wanted.every((item) => {
    const equals = item.indexOf("=");
    const key = equals === -1 ? item : item.slice(0, equals);
    return Object.hasOwn(labels, key) && (equals === -1 || labels[key] === item.slice(equals + 1));
  });
}

function matches(reference: Reference, patterns: RegExp[]): boolean {
  const names = [familiarReference(reference), familiarName(reference), fullReference(withDefaultTag(reference)), fullName(reference)];
  return patterns.some((pattern) => names.some((name) => pattern.test(name)));
}

/** Go's path.Match: `*` and `?` stop at a slash, `[a-z]` and `[^a]` are classes, a backslash takes the next character as it is. */
function globToRegExp(pattern: string): RegExp {
  const tokens = pattern.match(/\\.|\[(?:\\.|[^\]\\])*\]|[^]/gsu) ?? [];
  const source = tokens.map((token) => {
    if (token === "*") return "[^/]*";
    if (token === "?") return "[^/]";
    if (token.startsWith("[") && token.length > 2) return token;
    if (token === "[" || token === "[]" || token === "\\")
      throw new EngineError("invalid", `invalid filter 'reference=${pattern}': syntax error in pattern`);
    return (token.startsWith("\\") ? token.slice(1) : token).replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
  });
  try {
    return new RegExp(`^${source.join("")}$`, "s");
  } catch (error) {
    throw new EngineError("invalid", `invalid filter 'reference=${pattern}': syntax error in pattern`, { cause: error });
  }
}
