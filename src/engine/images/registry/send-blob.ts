import { closeSync, existsSync, openSync, readSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";

import { JobError } from "../../../store/child/serve.ts";
import { agentFor, collect, headersOf, USER_AGENT, type SerializedResponse } from "./exchange.ts";
import { requestError } from "./network-words.ts";
import type { TlsSettings } from "./tls-settings.ts";

/**
 * Sends what a registry does not have yet of a blob, in a child: the body of one PATCH, from a file. Where the size is not known the file
 * is still being written, and is whole when it no longer has its name.
 */
export interface SendRequest {
  url: string;
  headers: Record<string, string>;
  tls: TlsSettings;
  path: string;
  /** How much of it the registry has. */
  offset: number;
  sizeBytes: number | undefined;
  /** When the registry takes not a byte for this long it counts as gone. */
  stallTimeoutMs: number;
}

export type SendAnswer = SerializedResponse & { sentBytes: number };

const CHUNK_BYTES = 1024 * 1024;
const GROWING_PAUSE_MS = 3;
const MAX_ANSWER_BYTES = 64 * 1024;
/** For the answer, when all is sent: some registries only then write it where they keep it. */
const ANSWER_TIMEOUT_MS = 600_000;

/** Whatever the registry answers, also one that comes before everything is sent. Network errors reject as JobErrors with `network: true`. */
export function sendBlob(request: SendRequest, progress: (bytes: number) => void, signal: AbortSignal): Promise<SendAnswer> {
  const { url, offset, sizeBytes } = request;
  const target = new URL(url);
  return new Promise((resolve, reject) => {
    const headers = {
      "user-agent": USER_AGENT,
      "content-type": "application/octet-stream",
      ...(sizeBytes === undefined ? {} : { "content-length": sizeBytes - offset }),
      ...(sizeBytes !== undefined && offset > 0 ? { "content-range": `${offset}-${sizeBytes - 1}` } : {}),
      ...request.headers,
    };
    const options = { method: "PATCH", headers, agent: agentFor(target, request.tls), signal };
    const sent = (target.protocol === "https:" ? https : http).request(target, options);
    let sentBytes = offset;
    const count = (bytes: number): void => {
      sentBytes = bytes;
      progress(bytes);
    };
    const file = openSync(request.path, "r");
    const fail = (error: unknown): void =>
      reject(signal.aborted || error instanceof JobError ? error : new JobError(requestError("PATCH", url, error), { network: true }));
    sent.on("close", () => closeSync(file));
    sent.on("error", fail);
    sent.on("response", (response) => {
      // A registry that has heard enough does not read the rest.
      const isEarly = !sent.writableFinished;
      collect(response, MAX_ANSWER_BYTES).then((body) => {
        resolve({ sentBytes, url, status: response.statusCode ?? 0, headers: headersOf(response.headers), body: body.toString("base64") });
        if (isEarly) sent.destroy();
      }, fail);
    });
    sent.setTimeout(request.stallTimeoutMs, () => sent.destroy(new Error("i/o timeout")));
    sent.on("finish", () => sent.setTimeout(ANSWER_TIMEOUT_MS));
    send(sent, file, request, count).catch((error: unknown) => sent.destroy(error instanceof Error ? error : new Error(String(error))));
  });
}

/** Two buffers in turn: one is filled while the other is on its way. */
async function send(sent: http.ClientRequest, file: number, request: SendRequest, progress: (bytes: number) => void): Promise<void> {
  const buffers = [Buffer.allocUnsafeSlow(CHUNK_BYTES), Buffer.allocUnsafeSlow(CHUNK_BYTES)];
  let before: Promise<void> = Promise.resolve();
  const { path, sizeBytes = Number.POSITIVE_INFINITY } = request;
  for (let at = request.offset; at < sizeBytes && !sent.destroyed;) {
    const isGrowing = request.sizeBytes === undefined && existsSync(path);
    const buffer = buffers.shift() ?? Buffer.alloc(0);
    const bytes = readSync(file, buffer, 0, Math.min(buffer.length, sizeBytes - at), at);
    if (bytes === 0) {
      buffers.unshift(buffer);
      if (isGrowing) await sleep(GROWING_PAUSE_MS);
      else if (request.sizeBytes === undefined) break;
      else throw new JobError(`sending ${path}: it is shorter than it was`, {});
      continue;
    }
    const written = new Promise<void>((resolve, reject) => {
      sent.write(buffer.subarray(0, bytes), (error) => (error ? reject(error) : resolve()));
    });
    await before;
    before = written;
    buffers.push(buffer);
    at += bytes;
    progress(at);
  }
  await before;
  sent.end();
}
