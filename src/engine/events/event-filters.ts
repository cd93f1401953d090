import { EngineError } from "../../base/errors.ts";
import type { EngineEvent } from "./events.ts";

/**
 * Which events a client wants to see. A key without values lets everything pass; of several values of a key one must fit, but all labels
 * must. The rules are those of moby's daemon/events/filter.go (28.2.2), odd ones included.
 */
export type EventFilters = ReadonlyMap<string, readonly string[]>;

/** Refuses a key that means nothing. (dockerd takes any and then shows every event, which nobody can have meant.) */
export function checkEventFilters(filters: EventFilters): void {
  for (const key of filters.keys()) {
    if (!KNOWN_KEYS.has(key)) throw new EngineError("invalid", `invalid filter '${key}'`);
  }
}

export function matches(event: EngineEvent, filters: EventFilters): boolean {
  const { type, action, actor } = event;
  return (
    matchesAction(action, filters.get("event")) &&
    isOneOf([type], filters.get("type")) &&
    isOneOf(["local"], filters.get("scope")) &&
    // Every one of these looks at the actor, whatever the event's type is.
    OBJECT_KEYS.every((key) => startsWithOneOf([actor.id, actor.attributes["name"] ?? ""], filters.get(key))) &&
    isOneOf(imageNames(event), filters.get("image")) &&
    hasLabels(actor.attributes, filters.get("label"))
  );
}

const OBJECT_KEYS = ["daemon", "container", "plugin", "volume", "network", "node", "service", "secret", "config"];
const KNOWN_KEYS = new Set([...OBJECT_KEYS, "event", "type", "scope", "image", "label"]);

/** Actions that carry a detail after a colon; naming one of them turns on matching by prefix for all values (moby #25798). */
const ACTIONS_WITH_DETAIL = new Set(["health_status", "exec_create", "exec_start"]);

function matchesAction(action: string, wanted: readonly string[] | undefined): boolean {
  if (wanted?.some((value) => ACTIONS_WITH_DETAIL.has(value))) return startsWithOneOf([action], wanted);
  return isOneOf([action], wanted);
}

/** An image event is about its own image, a container event about the one its container was made from; each also without the tag. */
function imageNames({ type, actor }: EngineEvent): string[] {
  const name = actor.attributes[type === "image" ? "name" : "image"] ?? "";
  return [actor.id, name, withoutTag(actor.id), withoutTag(name)];
}

/** `library/a:1@sha256:…` → `a`; what is no image reference stays as it is. */
function withoutTag(reference: string): string {
  if (/^[0-9a-f]{64}$/.test(reference)) return reference;
  const name = reference.replace(/@[a-z0-9]+:[0-9a-f]+$/, "").replace(/:[\w][\w.-]*$/, "");
  return name.replace(/^(index\.)?docker\.io\//, "").replace(/^library\/(?=[^/]+$)/, "");
}

function hasLabels(attributes: Record<string, string>, wanted: readonly string[] | undefined): boolean {
  return (wanted ?? []).every((label) => {
    const separator = label.indexOf("=");
    const key = separator < 0 ? label : label.slice(0, separator);
    return Object.hasOwn(attributes, key) && (separator < 0 || attributes[key] === label.slice(separator + 1));
  });
}

function isOneOf(candidates: string[], wanted: readonly string[] | undefined): boolean {
  return !wanted?.length || candidates.some((candidate) => wanted.includes(candidate));
}

function startsWithOneOf(candidates: string[], wanted: readonly string[] | undefined): boolean {
  return !wanted?.length || candidates.some((candidate) => wanted.some((prefix) => candidate.startsWith(prefix)));
}
