import type { EngineEvent } from "./events.ts";

/**
 * An event as `GET /events` writes it. `status`, `id` and `from` are of Docker 1.x; clients up to API 1.51 still read them, and only
 * container and image events have them. The attributes are sorted, as Go writes a map. Clients below API 1.46 know no image `create`.
 */
export function eventMessage({ type, action, actor, timeNs }: EngineEvent): Record<string, unknown> {
  return {
    ...(type === "container" || type === "image" ? { status: action, id: actor.id } : {}),
    ...(type === "container" && actor.attributes["image"] ? { from: actor.attributes["image"] } : {}),
    Type: type,
    Action: action,
    Actor: { ID: actor.id, Attributes: Object.fromEntries(Object.entries(actor.attributes).toSorted(byKey)) },
    scope: "local",
    time: Number(timeNs / 1_000_000_000n),
    timeNano: timeNs,
  };
}

function byKey([a]: [string, string], [b]: [string, string]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
