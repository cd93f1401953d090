import type { ServerResponse } from "node:http";

import { encodeJson } from "../api/json.ts";
import { OLDEST, parseApiVersion } from "../api/versions.ts";
import type { Log } from "../base/log.ts";
import type { Answer, Output } from "./call.ts";
import { failureOf } from "./status.ts";

/** Writes every answer but a session. */
export async function writeAnswer(response: ServerResponse, answer: Exclude<Answer, { kind: "session" | "handOver" }>): Promise<void> {
  switch (answer.kind) {
    case "json":
      return writeWhole(response, answer.status, "application/json", `${encodeJson(answer.value)}\n`);
    case "text":
      setHeaders(response, answer.headers);
      return writeWhole(response, answer.status, "text/plain; charset=utf-8", answer.text);
    case "empty":
      setHeaders(response, answer.headers);
      // Not by `writeHead`: the head that `end` writes says how long nothing is, as Go's does.
      response.statusCode = answer.status;
      response.end();
      return;
    case "stream":
      response.setHeader("Content-Type", answer.contentType);
      setHeaders(response, answer.headers);
      await answer.write(outputOf(response));
      if (!response.headersSent) response.flushHeaders();
      await bodyRead(response);
      response.end();
  }
}

/** Answers what a route threw; logs it when the fault is ours. */
export function writeError(
  response: ServerResponse,
  error: unknown,
  request: { what: string; versionText: string | undefined },
  log: Log,
): void {
  const { status, message, excerpt, unexpected } = failureOf(error);
  if (unexpected) log.error({ err: error, request: request.what }, message);
  else if (status === 500) log.error({ request: request.what, status }, message);
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  for (const name of ["Content-Type", "Content-Length"]) response.removeHeader(name);
  if (status === 304) {
    response.writeHead(304);
    response.end();
  } else if (request.versionText !== undefined && parseApiVersion(request.versionText) < OLDEST) {
    // Clients as old as that print the body as it is.
    response.setHeader("X-Content-Type-Options", "nosniff");
    writeWhole(response, status, "text/plain; charset=utf-8", `${message}\n`);
  } else {
    writeWhole(response, status, "application/json", `${encodeJson({ message, ...(excerpt === undefined ? {} : { excerpt }) })}\n`);
  }
}

function writeWhole(response: ServerResponse, status: number, contentType: string, text: string): void {
  response.writeHead(status, { "Content-Type": contentType, "Content-Length": Buffer.byteLength(text) });
  response.write(text);
  void bodyRead(response).then(() => response.end());
}

/** How long the rest of a request's body is read (and thrown away) before the answer ends and the connection may be closed. */
const LINGER_MS = 10_000;

/** Closing on a client that is still sending, as one does whose archive met a full disk, would reset the connection under the answer. */
async function bodyRead({ req: request }: ServerResponse): Promise<void> {
  if (request.complete || request.destroyed || request.headers.upgrade !== undefined) return;
  await new Promise((resolve) => {
    const limit = setTimeout(resolve, LINGER_MS);
    request.once("close", () => {
      clearTimeout(limit);
      resolve(undefined);
    });
    request.resume();
  });
}

function setHeaders(response: ServerResponse, headers: Record<string, string> | undefined): void {
  for (const [name, value] of Object.entries(headers ?? {})) response.setHeader(name, value);
}

function outputOf(response: ServerResponse): Output {
  return {
    get started() {
      return response.headersSent;
    },
    flush: () => response.flushHeaders(),
    async write(chunk) {
      if (response.destroyed) throw new ClientGone();
      if (!response.write(chunk)) await roomToWrite(response);
    },
  };
}

/** The client closed the connection: not an error of anybody's. */
export class ClientGone extends Error {
  constructor() {
    super("the client has closed the connection");
    this.name = "ClientGone";
  }
}

function roomToWrite(response: ServerResponse): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (settle: () => void): void => {
      response.off("drain", onDrain);
      response.off("close", onClose);
      settle();
    };
    const onDrain = (): void => done(resolve);
    const onClose = (): void => done(() => reject(new ClientGone()));
    response.on("drain", onDrain);
    response.on("close", onClose);
  });
}
