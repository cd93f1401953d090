import type { IncomingHttpHeaders } from "node:http";
import type { Duplex } from "node:stream";

import type { HandOver } from "../engine/containers/containers.ts";
import type { ApiVersion } from "../api/versions.ts";
import type { Body } from "./body.ts";
import type { Query } from "./query.ts";

/** One request, parsed at the edge: what a route gets to see. */
export interface Call {
  readonly version: ApiVersion;
  /** What the path's `{name…}` stood for. */
  readonly name: string;
  readonly query: Query;
  readonly headers: IncomingHttpHeaders;
  readonly body: Body;
  /** The client asked to have the connection for itself (`Upgrade`), and it can be given away. */
  readonly isRaw: boolean;
  /** Aborted when the client is gone or the daemon stops. */
  readonly signal: AbortSignal;
}

/** What a route answers with. Whatever it throws becomes an error answer (`status.ts`). */
export type Answer =
  | { kind: "json"; status: number; value: unknown }
  | { kind: "empty"; status: number; headers?: Record<string, string> }
  | { kind: "text"; status: number; text: string; headers?: Record<string, string> }
  /**
   * A body that comes bit by bit. The head goes out with the first write or flush; an error before that is an ordinary error answer, one
   * after it cuts the connection, so that no client takes the half for the whole.
   */
  | { kind: "stream"; contentType: string; headers?: Record<string, string>; write: (output: Output) => Promise<void> }
  /** The connection itself becomes the stdio of a container or exec. */
  | { kind: "session"; contentType: string; stream: Duplex }
  /** The connection is given to another process, with the answer's head for it to write. Only where the call's connection `isRaw`. */
  | { kind: "handOver"; contentType: string; handOver: HandOver };

export interface Output {
  /** Sends the head now. */
  flush(): void;
  /** Resolves when there is room for more (a chunk of 64 KiB or more is sent then); rejects when the client is gone. */
  write(chunk: string | Uint8Array): Promise<void>;
  /** The head is out: an error has to be told within the body. */
  readonly started: boolean;
}

export const json = (value: unknown, status = 200): Answer => ({ kind: "json", status, value });
export const noContent: Answer = { kind: "empty", status: 204 };

/** A row of the table of routes. */
export interface Route {
  method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS";
  /** `/images/{name:.*}/json`: `{name:.*}` also takes slashes, `{name}` does not. */
  path: string;
  /** The API description's operationId. */
  operation: string;
  /** The answer may be a session: an `Upgrade` header is taken up. */
  upgrades?: boolean;
  /** Not there yet: it answers that it is not. */
  missing?: boolean;
  handle: (call: Call) => Answer | Promise<Answer>;
}
