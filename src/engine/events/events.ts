import { nowNs } from "../../base/time.ts";

/**
 * Events: what has happened, told to whoever listens (`GET /events`). An event is published after what it tells is durable, and never
 * carries out a step. The last EVENT_RING_SIZE events are kept in memory for `since`; nothing of them is on the disk.
 *
 * Words: the *hub* takes events and hands them on at once; a *listener* is a function; a *watch* (`event-watch.ts`) is a listener with a
 * queue of its own, which a client drains at its own speed; *filters* (`event-filters.ts`) are what a client wants to see; a *message*
 * (`event-message.ts`) is an event as the Engine API writes it.
 */

/** Docker keeps as many (moby daemon/events). */
export const EVENT_RING_SIZE = 256;

export type EventType = "container" | "image" | "network" | "volume" | "daemon" | "builder";

export interface EngineEvent {
  type: EventType;
  /** `start`, `die`, `exec_create: sh -c …`, … */
  action: string;
  /** The object's id (for images: the reference or id that was named), and Docker's attributes. */
  actor: { id: string; attributes: Record<string, string> };
  timeNs: bigint;
}

export type EventListener = (event: EngineEvent) => void;

export interface Events {
  publish(event: Omit<EngineEvent, "timeNs">): void;
  /** Calls back on every later event until the returned function is called. A listener never slows the publisher down. */
  subscribe(listener: EventListener): () => void;
  listenerCount(): number;
  /** The kept events, oldest first. */
  recent(): readonly EngineEvent[];
}

/** A hub without listeners and without a past. A listener that throws is reported and stays; the others are called all the same. */
export function openEvents(report: (error: unknown) => void = () => undefined): Events {
  const kept: EngineEvent[] = [];
  const listeners = new Set<EventListener>();
  return {
    publish(event) {
      const stamped = { ...event, timeNs: nowNs() };
      kept.push(stamped);
      if (kept.length > EVENT_RING_SIZE) kept.shift();
      for (const listener of listeners) {
        try {
          listener(stamped);
        } catch (error) {
          report(error);
        }
      }
    },
    subscribe(listener) {
      // A wrapper apiece, so that a function subscribed twice is called twice.
      const own: EventListener = (event) => listener(event);
      listeners.add(own);
      return () => void listeners.delete(own);
    },
    listenerCount: () => listeners.size,
    recent: () => [...kept],
  };
}
