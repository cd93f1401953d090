import { EngineError } from "../../base/errors.ts";
import { formatTime, nowNs } from "../../base/time.ts";
import { type EventFilters, checkEventFilters, matches } from "./event-filters.ts";
import type { EngineEvent, Events } from "./events.ts";

/** So many events may wait for a client that does not read; after that its stream ends. Silent gaps would be worse. */
const MAX_WAITING = 4096;
/** The longest that a timer can wait; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface WatchRequest {
  /** Undefined, both: only what is still to come. */
  sinceNs: bigint | undefined;
  untilNs: bigint | undefined;
  filters: EventFilters;
}

/**
 * The events of `GET /events`: the kept ones of the time asked for, then those that come, until `untilNs` or the abort. It listens from the
 * call on, not from the first read, so that nothing is missed between the answer's head and its body; the reading must be begun or the
 * signal aborted, else it listens for ever.
 */
export function watchEvents(events: Events, request: WatchRequest, signal: AbortSignal): AsyncGenerator<EngineEvent> {
  const { sinceNs, untilNs, filters } = request;
  checkEventFilters(filters);
  if (sinceNs !== undefined && untilNs !== undefined && untilNs < sinceNs) {
    const [since, until] = [formatTime(sinceNs), formatTime(untilNs)];
    throw new EngineError("invalid", `\`since\` time (${since}) cannot be after \`until\` time (${until})`);
  }
  const queue = sinceNs === undefined && untilNs === undefined ? [] : pastEvents(events, request);
  if (untilNs !== undefined && untilNs < nowNs()) return drain(queue);

  let ended = signal.aborted;
  let wake: () => void = () => undefined;
  const end = (): void => {
    ended = true;
    wake();
  };
  const unsubscribe = events.subscribe((event) => {
    if (!matches(event, filters)) return;
    if (queue.length >= MAX_WAITING) return end();
    queue.push(event);
    wake();
  });
  const timer = untilNs === undefined ? undefined : setTimeout(end, Math.min(Number((untilNs - nowNs()) / 1_000_000n) + 1, MAX_TIMER_MS));
  const stop = (): void => {
    unsubscribe();
    clearTimeout(timer);
    end();
  };
  signal.addEventListener("abort", stop, { once: true });
  if (ended) stop();

  return (async function* () {
    try {
      for (;;) {
        const event = queue.shift();
        if (event !== undefined) yield event;
        else if (ended) return;
        else await new Promise<void>((resolve) => (wake = resolve));
        if (signal.aborted) return;
      }
    } finally {
      signal.removeEventListener("abort", stop);
      stop();
    }
  })();
}

function pastEvents(events: Events, { sinceNs, untilNs, filters }: WatchRequest): EngineEvent[] {
  return events
    .recent()
    .filter(({ timeNs }) => timeNs >= (sinceNs ?? 0n) && (untilNs === undefined || timeNs <= untilNs))
    .filter((event) => matches(event, filters));
}

async function* drain(queue: EngineEvent[]): AsyncGenerator<EngineEvent> {
  yield* queue;
}
