import { encodeJson } from "../../api/json.ts";
import { eventMessage } from "../../engine/events/event-message.ts";
import { watchEvents } from "../../engine/events/event-watch.ts";
import type { Events } from "../../engine/events/events.ts";
import type { Answer, Call, Route } from "../call.ts";

export function eventRoutes(events: Events): Route[] {
  return [{ method: "GET", path: "/events", operation: "SystemEvents", handle: (call) => watch(events, call) }];
}

/** Image `create` events came with this version. */
const IMAGE_CREATE_SINCE = 1046;

function watch(events: Events, { query, signal, version }: Call): Answer {
  const request = { sinceNs: query.timeNs("since"), untilNs: query.timeNs("until"), filters: query.filters() };
  const watched = watchEvents(events, request, signal);
  return {
    kind: "stream",
    contentType: "application/json",
    async write(output) {
      // The CLI waits for the head before it does what it wants to see the events of.
      output.flush();
      for await (const event of watched) {
        if (version < IMAGE_CREATE_SINCE && event.type === "image" && event.action === "create") continue;
        await output.write(`${encodeJson(eventMessage(event))}\n`);
      }
    },
  };
}
