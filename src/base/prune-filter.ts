import { EngineError } from "./errors.ts";

const UNITS_MS: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };

/** What of an object the filters of a prune look at. */
export interface Prunable {
  createdNs: bigint;
  labels: ReadonlyMap<string, string>;
}

/** Which objects a prune may take: `label`, `label!` and `until` (moby daemon/prune.go). */
export function readPruneFilter(filters: ReadonlyMap<string, readonly string[]>): (object: Prunable) => boolean {
  for (const key of filters.keys()) {
    if (!["label", "label!", "until"].includes(key)) throw new EngineError("invalid", `invalid filter '${key}'`);
  }
  const until = filters.get("until") ?? [];
  if (until.length > 1) throw new EngineError("invalid", "more than one until filter specified");
  const untilNs = until[0] === undefined ? undefined : parseUntil(until[0]);
  const wanted = filters.get("label") ?? [];
  const unwanted = filters.get("label!") ?? [];
  return (object) =>
    (untilNs === undefined || object.createdNs < untilNs) &&
    wanted.every((label) => hasLabel(object, label)) &&
    !unwanted.some((label) => hasLabel(object, label));
}

function hasLabel({ labels }: Prunable, text: string): boolean {
  const [key = "", ...rest] = text.split("=");
  const value = labels.get(key);
  return value !== undefined && (rest.length === 0 || value === rest.join("="));
}

/** A moment: Unix seconds, RFC 3339, or a Go duration before now (`10m`, `1h30m`). */
function parseUntil(text: string): bigint {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)];
  if (parts.length > 0 && parts.map(([part]) => part).join("") === text) {
    const agoMs = parts.reduce((sum, [, number, unit = ""]) => sum + Number(number) * (UNITS_MS[unit] ?? 0), 0);
    return BigInt(Math.round(Date.now() - agoMs)) * 1_000_000n;
  }
  const timeMs = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  if (Number.isNaN(timeMs))
    throw new EngineError("invalid", `invalid value for "until" filter: "${text}": use a duration, a date or Unix seconds`);
  return BigInt(Math.round(timeMs)) * 1_000_000n;
}
