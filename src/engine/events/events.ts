/**
 * Events: what has happened, told to whoever listens (`GET /events`). An event is published after what it tells is durable, and never
 * carries out a step. The last EVENT_RING_SIZE events are kept in memory for `since`.
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

export interface Events {
  publish(event: Omit<EngineEvent, "timeNs">): void;
  /** Calls back on every later event until the returned function is called. A listener never slows the publisher down. */
  subscribe(listener: (event: EngineEvent) => void): () => void;
  /** The kept events, oldest first. */
  recent(): readonly EngineEvent[];
}
