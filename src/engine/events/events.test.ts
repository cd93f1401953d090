import { expect, test } from "vitest";

import { encodeJson } from "../../api/json.ts";
import { nowNs } from "../../base/time.ts";
import { checkEventFilters, matches } from "./event-filters.ts";
import { eventMessage } from "./event-message.ts";
import { watchEvents } from "./event-watch.ts";
import { type EngineEvent, EVENT_RING_SIZE, openEvents } from "./events.ts";

const id = "4b1f".padEnd(64, "0");

function event(part: Partial<EngineEvent> & { attributes?: Record<string, string> } = {}): EngineEvent {
  const attributes = part.attributes ?? { image: "busybox:1", name: "web", tier: "front" };
  return { type: "container", action: "start", actor: { id, attributes }, timeNs: 1_700_000_000_123_456_789n, ...part };
}

function passes(filters: Record<string, string[]>, of = event()): boolean {
  return matches(of, new Map(Object.entries(filters)));
}

test("filters match as Docker's do", () => {
  expect(passes({})).toBe(true);
  expect(passes({ type: ["image", "container"] })).toBe(true);
  expect(passes({ type: ["contain"] })).toBe(false);
  expect(passes({ event: ["start"] })).toBe(true);
  expect(passes({ event: ["sta"] })).toBe(false);
  expect(passes({ scope: ["local"] })).toBe(true);
  expect(passes({ scope: ["swarm"] })).toBe(false);
  // An object is named by the beginning of its id or of its name.
  expect(passes({ container: ["4b1f"] })).toBe(true);
  expect(passes({ container: ["we"] })).toBe(true);
  expect(passes({ container: ["eb"] })).toBe(false);
  expect(passes({ network: ["we"] }, event({ type: "network", attributes: { name: "web" } }))).toBe(true);
  // Labels: all of them.
  expect(passes({ label: ["tier"] })).toBe(true);
  expect(passes({ label: ["tier=front", "image"] })).toBe(true);
  expect(passes({ label: ["tier=back"] })).toBe(false);
  expect(passes({ label: ["tier", "other"] })).toBe(false);
  expect(passes({ label: ["constructor"] })).toBe(false);
  // Several keys: all of them.
  expect(passes({ type: ["container"], event: ["die"] })).toBe(false);
});

test("an image filter also finds the containers made from the image, with and without the tag", () => {
  expect(passes({ image: ["busybox:1"] })).toBe(true);
  expect(passes({ image: ["busybox"] })).toBe(true);
  expect(passes({ image: ["busy"] })).toBe(false);
  expect(passes({ image: ["busybox:2"] })).toBe(false);
  const tagged = event({ type: "image", action: "tag", attributes: { name: "localhost:5000/team/app:1" } });
  expect(passes({ image: ["localhost:5000/team/app"] }, tagged)).toBe(true);
  expect(passes({ image: ["localhost"] }, tagged)).toBe(false);
});

test("actions with a detail are found by their beginning", () => {
  const exec = event({ action: "exec_create: sh -c true" });
  expect(passes({ event: ["exec_create"] }, exec)).toBe(true);
  expect(passes({ event: ["exec_create: sh -c true"] }, exec)).toBe(true);
  expect(passes({ event: ["exec_start"] }, exec)).toBe(false);
  expect(passes({ event: ["health_status"] }, event({ action: "health_status: healthy" }))).toBe(true);
});

test("an unknown filter is refused by name", () => {
  expect(() => checkEventFilters(new Map([["colour", ["red"]]]))).toThrow("invalid filter 'colour'");
});

test("the message has the old fields only where Docker has them, and time to the nanosecond", () => {
  expect(encodeJson(eventMessage(event()))).toBe(
    `{"status":"start","id":"${id}","from":"busybox:1","Type":"container","Action":"start","Actor":{"ID":"${id}","Attributes":` +
      `{"image":"busybox:1","name":"web","tier":"front"}},"scope":"local","time":1700000000,"timeNano":1700000000123456789}`,
  );
  const network = eventMessage(event({ type: "network", action: "create", attributes: { type: "bridge", name: "n" } }));
  expect(encodeJson(network)).toContain(
    `{"Type":"network","Action":"create","Actor":{"ID":"${id}","Attributes":{"name":"n","type":"bridge"}}`,
  );
});

test("the hub keeps the last events and calls every listener, whatever one of them does", () => {
  const failures: unknown[] = [];
  const events = openEvents((error) => failures.push(error));
  const seen: string[] = [];
  events.subscribe(() => {
    throw new Error("listener");
  });
  const stop = events.subscribe(({ action }) => seen.push(action));
  for (let n = 0; n < EVENT_RING_SIZE + 10; n += 1) events.publish({ ...event(), action: `a${n}` });
  stop();
  events.publish({ ...event(), action: "last" });
  expect(seen).toHaveLength(EVENT_RING_SIZE + 10);
  expect(failures).toHaveLength(EVENT_RING_SIZE + 11);
  expect(events.recent()).toHaveLength(EVENT_RING_SIZE);
  expect(events.recent().at(-1)?.action).toBe("last");
  expect(events.recent()[0]?.action).toBe("a11");
});

async function collect(source: AsyncIterable<EngineEvent>, count = Number.POSITIVE_INFINITY): Promise<string[]> {
  const actions: string[] = [];
  for await (const { action } of source) if (actions.push(action) >= count) break;
  return actions;
}

test("a watch gives the past that was asked for, then what comes, until it is aborted", async () => {
  const events = openEvents();
  const abort = new AbortController();
  events.publish({ ...event(), action: "create" });
  events.publish({ ...event(), type: "network", action: "connect" });
  const filters = new Map([["type", ["container"]]]);
  const past = watchEvents(events, { sinceNs: 0n, untilNs: undefined, filters }, abort.signal);
  const fresh = watchEvents(events, { sinceNs: undefined, untilNs: undefined, filters }, abort.signal);
  events.publish({ ...event(), action: "start" });
  expect(await collect(past, 2)).toEqual(["create", "start"]);
  const rest = collect(fresh);
  events.publish({ ...event(), action: "die" });
  await new Promise(setImmediate);
  abort.abort();
  expect(await rest).toEqual(["start", "die"]);
});

test("until: in the past it ends at once, before since it is refused, in the future the watch ends by itself", async () => {
  const events = openEvents();
  const { signal } = new AbortController();
  const filters = new Map<string, string[]>();
  events.publish(event());
  const untilNs = nowNs();
  events.publish({ ...event(), action: "later" });
  expect(await collect(watchEvents(events, { sinceNs: undefined, untilNs, filters }, signal))).toEqual(["start"]);
  expect(() => watchEvents(events, { sinceNs: 2n, untilNs: 1n, filters }, signal)).toThrow("cannot be after `until` time");
  const soon = watchEvents(events, { sinceNs: nowNs(), untilNs: nowNs() + 30_000_000n, filters }, signal);
  events.publish({ ...event(), action: "soon" });
  expect(await collect(soon)).toEqual(["soon"]);
});

test("a watch nobody reads ends instead of growing without limit", async () => {
  const events = openEvents();
  const watch = watchEvents(events, { sinceNs: undefined, untilNs: undefined, filters: new Map() }, new AbortController().signal);
  for (let n = 0; n < 10_000; n += 1) events.publish(event());
  expect((await collect(watch)).length).toBeLessThan(10_000);
});
