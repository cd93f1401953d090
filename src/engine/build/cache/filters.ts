import { EngineError } from "../../../base/errors.ts";
import { parseDuration } from "../../../dockerfile/duration.ts";
import type { CacheRecord } from "./choose.ts";

/** The filters of `docker builder prune` and of daemon.json's `builder.gc.policy`, in the words of moby 28 (builder-next/builder.go). */
export interface CacheFilters {
  matches: (record: CacheRecord) => boolean;
  keepForMs: number;
  /** It says what kind of records it means, so that all kinds are looked at. */
  namesKind: boolean;
}

const FIELDS = new Map<string, (record: CacheRecord, value: string | undefined) => boolean>([
  // Part of an id is enough.
  ["id", ({ id }, value) => id.includes(value ?? "")],
  ["parent", ({ parents }, value) => (value === undefined ? parents.length > 0 : parents.some((id) => bare(id) === bare(value)))],
  ["type", ({ type }, value) => value === undefined || type === value],
  ["description", ({ description }, value) => (value === undefined ? description !== "" : description === value)],
  ["inuse", ({ isInUse }, value) => isInUse === isYes(value)],
  ["shared", ({ isShared }, value) => isShared === isYes(value)],
  ["private", ({ isShared }, value) => !isShared === isYes(value)],
]);
/** `label` is taken and means nothing, as in Docker. */
const KNOWN = new Set([...FIELDS.keys(), "until", "unused-for", "label", "label!"]);

export function parseCacheFilters(filters: ReadonlyMap<string, readonly string[]>, nowMs = Date.now()): CacheFilters {
  const unknown = [...filters.keys()].find((key) => !KNOWN.has(key));
  if (unknown !== undefined) throw invalid(`invalid filter '${unknown}'`);
  const until = filters.get("until") ?? [];
  const unusedFor = filters.get("unused-for") ?? [];
  if (until.length > 0 && unusedFor.length > 0) throw invalid('conflicting filters: "until" and "unused-for"');
  const tests: ((record: CacheRecord) => boolean)[] = [];
  for (const [field, test] of FIELDS) {
    const values = filters.get(field);
    if (values === undefined) continue;
    if (values.length > 1) throw invalid("filters expect only one value");
    tests.push((record) => test(record, values[0]));
  }
  return {
    matches: (record) => tests.every((test) => test(record)),
    keepForMs: readAge(until.length > 0 ? "until" : "unused-for", [...until, ...unusedFor], nowMs),
    namesKind: filters.has("type") || filters.has("id"),
  };
}

function readAge(name: string, [value, another]: readonly string[], nowMs: number): number {
  if (value === undefined) return 0;
  if (another !== undefined) throw invalid("filters expect only one value");
  const durationMs = tryDurationMs(value);
  if (durationMs !== undefined) return durationMs;
  const timeMs = /^\d{1,11}(?:\.\d+)?$/.test(value) ? Number(value) * 1000 : Date.parse(/^\d{4}-\d\d-\d\d/.test(value) ? value : "");
  if (Number.isNaN(timeMs)) throw invalid(`"${name}" filter expects a duration (e.g., '24h') or a timestamp: "${value}" is neither`);
  return Math.max(nowMs - timeMs, 0);
}

function tryDurationMs(text: string): number | undefined {
  try {
    return parseDuration(text) / 1e6;
  } catch {
    return undefined;
  }
}

function isYes(value: string | undefined): boolean {
  return value === undefined || !["0", "f", "false", "no"].includes(value.toLowerCase());
}

function bare(id: string): string {
  return id.replace(/^sha256:/, "");
}

function invalid(why: string): EngineError {
  return new EngineError("invalid", why);
}
