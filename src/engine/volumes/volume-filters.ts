import { EngineError } from "../../base/errors.ts";
import type { VolumeRecord } from "./volume-records.ts";

const FILTERS = ["dangling", "driver", "label", "name"];
const TRUE = ["1", "t", "true"];
const FALSE = ["0", "f", "false"];

/** Which volumes `GET /volumes` shows (moby daemon/volumes.go). `isUsed`: some container names it. */
export function readVolumeFilter(
  filters: ReadonlyMap<string, readonly string[]>,
  isUsed: (name: string) => boolean,
): (volume: VolumeRecord) => boolean {
  for (const key of filters.keys()) if (!FILTERS.includes(key)) throw new EngineError("invalid", `invalid filter '${key}'`);
  const isDangling = readFlag(filters, "dangling");
  const any = (key: string, test: (value: string) => boolean): boolean => {
    const values = filters.get(key) ?? [];
    return values.length === 0 || values.some(test);
  };
  return (volume) =>
    (isDangling === undefined || isDangling !== isUsed(volume.name)) &&
    any("driver", (value) => volume.driver === value) &&
    any("name", (value) => matches(volume.name, value)) &&
    (filters.get("label") ?? []).every((label) => hasLabel(volume, label));
}

/** A filter that is true or false; undefined where it is not there. */
export function readFlag(filters: ReadonlyMap<string, readonly string[]>, key: string): boolean | undefined {
  const values = (filters.get(key) ?? []).map((value) => value.toLowerCase());
  if (values.some((value) => ![...TRUE, ...FALSE].includes(value)))
    throw new EngineError("invalid", `invalid filter '${key}=[${values.join(" ")}]'`);
  return values.length === 0 ? undefined : values.some((value) => TRUE.includes(value));
}

/** A part of the name, or a regular expression. */
function matches(name: string, pattern: string): boolean {
  try {
    return new RegExp(pattern).test(name);
  } catch {
    return name.includes(pattern);
  }
}

function hasLabel({ labels }: VolumeRecord, wanted: string): boolean {
  const split = wanted.indexOf("=");
  if (split < 0) return labels !== null && wanted in labels;
  return labels?.[wanted.slice(0, split)] === wanted.slice(split + 1);
}
