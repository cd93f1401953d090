import { EngineError } from "../../base/errors.ts";
import { parseMemorySize } from "../../base/sizes.ts";
import type { PruneRule } from "../../engine/build/cache/choose.ts";
import { parseCacheFilters } from "../../engine/build/cache/filters.ts";
import { type CachePolicy, DEFAULT_POLICY } from "../../engine/build/cache/policy.ts";
import { isObject } from "./config-file.ts";

/**
 * `"builder": {"gc": {"enabled", "defaultKeepStorage", "policy": [{"keepStorage", "filter": ["unused-for=48h"], "all"}]}}` of dockerd's
 * config file, with the names of Docker 28 for the same sizes, and two more. As in Go, the case of a key does not count.
 */
export function readCachePolicy(builder: Record<string, unknown>): CachePolicy {
  const members = lowerCase(builder, "builder");
  const gc = lowerCase(members.get("gc") ?? {}, "builder.gc");
  const enabled = gc.get("enabled") ?? true;
  if (typeof enabled !== "boolean") throw invalid("enabled", "true or false");
  const policy = gc.get("policy");
  if (policy !== undefined && policy !== null && !Array.isArray(policy)) throw invalid("policy", "a list of rules");
  return {
    ...DEFAULT_POLICY,
    isEnabled: enabled,
    reservedBytes: sizeOf(gc, "defaultReservedSpace") || sizeOf(gc, "defaultKeepStorage"),
    maxUsedBytes: sizeOf(gc, "defaultMaxUsedSpace"),
    minFreeBytes: sizeOf(gc, "defaultMinFreeSpace"),
    rules: policy?.map(readRule),
  };
}

function readRule(value: unknown): PruneRule {
  const rule = lowerCase(value, "a rule of builder.gc.policy");
  const { matches, keepForMs } = parseCacheFilters(filtersOf(rule.get("filter")));
  return {
    matches,
    keepForMs,
    reservedBytes: sizeOf(rule, "reservedSpace") || sizeOf(rule, "keepStorage"),
    maxUsedBytes: sizeOf(rule, "maxUsedSpace"),
    minFreeBytes: sizeOf(rule, "minFreeSpace"),
  };
}

/** A list of `name=value`; before Docker 28 an object of `{"name": {"value": true}}`. */
function filtersOf(value: unknown): Map<string, string[]> {
  const filters = new Map<string, string[]>();
  if (value === undefined || value === null) return filters;
  if (isObject(value)) {
    for (const [name, values] of Object.entries(value)) filters.set(name, isObject(values) ? Object.keys(values) : [String(values)]);
    return filters;
  }
  if (!Array.isArray(value)) throw invalid("filter", 'a list such as ["unused-for=48h"]');
  for (const item of value.map(String)) {
    const equals = item.indexOf("=");
    const name = (equals === -1 ? item : item.slice(0, equals)).trim().toLowerCase();
    // Rules take BuildKit's `==`, too.
    const text =
      equals === -1
        ? []
        : [
            item
              .slice(equals + 1)
              .replace(/^=/, "")
              .trim(),
          ];
    filters.set(name, [...(filters.get(name) ?? []), ...text]);
  }
  return filters;
}

/** `20GB` is 20 × 1024³ bytes, as in Docker. */
function sizeOf(members: ReadonlyMap<string, unknown>, name: string): number {
  const value = members.get(name.toLowerCase());
  if (value === undefined || value === null || value === "") return 0;
  const bytes = typeof value === "string" ? parseMemorySize(value) : undefined;
  if (bytes === undefined) throw invalid(name, 'a size such as "20GB"');
  return bytes;
}

function lowerCase(value: unknown, what: string): Map<string, unknown> {
  if (!isObject(value)) throw new EngineError("invalid", `${what}: an object is wanted, not ${JSON.stringify(value)}`);
  return new Map(Object.entries(value).map(([key, member]) => [key.toLowerCase(), member]));
}

function invalid(name: string, wanted: string): EngineError {
  return new EngineError("invalid", `builder.gc: ${name}: ${wanted} is wanted`);
}
