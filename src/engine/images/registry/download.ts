import { createHash, type Hash } from "node:crypto";
import { closeSync, fstatSync, ftruncateSync, openSync, readSync, rmSync, utimesSync, writeSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";

import { codeOf } from "../../../base/errors.ts";
import { JobError } from "../../../store/child/serve.ts";
import { BodyReader, type ResponseHead } from "./body-reader.ts";
import { openConnection, type Connection } from "./connection.ts";
import { USER_AGENT } from "./exchange.ts";
import { requestError } from "./network-words.ts";
import { headersAfterRedirect, redirectTarget, tlsAfterRedirect } from "./redirect.ts";
import type { TlsSettings } from "./tls-settings.ts";

/**
 * Downloads one blob into a file, in a child. The file grows under the blob's digest; when it is there already the rest is asked for by
 * range. What is asked, said and hashed goes through one reused buffer. When this resolves the file is the blob: size and digest match.
 */
export interface DownloadRequest {
  url: string;
  headers: Record<string, string>;
  tls: TlsSettings;
  path: string;
  digest: string;
  sizeBytes: number;
  /** Without a byte for this long the registry counts as gone. */
  stallTimeoutMs: number;
}

/** What a failed download tells beside its message: whether the network failed, or what the registry answered. */
export interface DownloadFailure {
  network?: boolean;
  status?: number;
  headers?: Record<string, string>;
  body?: string;
  /** The bytes are wrong; the file was emptied. */
  mismatch?: boolean;
}

const REHASH_BYTES = 4 * 1024 * 1024;
const MAX_REDIRECTS = 5;
const MAX_ERROR_BYTES = 64 * 1024;

export async function downloadBlob(request: DownloadRequest, progress: (bytes: number) => void, signal: AbortSignal): Promise<void> {
  const fd = openSync(request.path, "a+", 0o600);
  const target = new Target(fd, request);
  try {
    await target.takeUpWhatIsThere(signal);
    // A resumed download that turns out wrong began wrong, perhaps: once more from the start.
    const isResumed = target.bytes > 0;
    try {
      await fill(request, target, progress, signal);
    } catch (error) {
      if (!isResumed || !(error instanceof JobError && error.details["mismatch"] === true)) throw error;
      await fill(request, target, progress, signal);
    }
  } catch (error) {
    // There is no beginning to go on from, or no room to go on.
    if (target.bytes === 0 || isDiskFull(error)) rmSync(request.path, { force: true });
    throw error;
  } finally {
    closeSync(fd);
  }
}

async function fill(request: DownloadRequest, target: Target, progress: (bytes: number) => void, signal: AbortSignal): Promise<void> {
  if (target.bytes < request.sizeBytes || request.sizeBytes === 0) await getInto(request, target, progress, signal);
  target.check();
}

/** The file and what is known of its content so far. */
class Target {
  readonly #fd: number;
  readonly #request: DownloadRequest;
  #hash: Hash = createHash("sha256");
  bytes = 0;

  constructor(fd: number, request: DownloadRequest) {
    this.#fd = fd;
    this.#request = request;
  }

  async takeUpWhatIsThere(signal: AbortSignal): Promise<void> {
    const size = fstatSync(this.#fd).size;
    if (size === 0) return;
    if (size > this.#request.sizeBytes) return this.empty();
    utimesSync(this.#request.path, new Date(), new Date());
    const buffer = Buffer.allocUnsafe(REHASH_BYTES);
    for (let read = readSync(this.#fd, buffer, 0, buffer.length, 0); read > 0;) {
      this.#hash.update(buffer.subarray(0, read));
      this.bytes += read;
      await nextTurn();
      signal.throwIfAborted();
      read = readSync(this.#fd, buffer, 0, buffer.length, this.bytes);
    }
  }

  write(bytes: Buffer): void {
    if (this.bytes + bytes.length > this.#request.sizeBytes) {
      this.empty();
      throw new JobError(`the registry sent more than the ${this.#request.sizeBytes} bytes its manifest says`, { mismatch: true });
    }
    this.#hash.update(bytes);
    for (let written = 0; written < bytes.length;) written += writeSync(this.#fd, bytes, written);
    this.bytes += bytes.length;
  }

  empty(): void {
    ftruncateSync(this.#fd, 0);
    this.#hash = createHash("sha256");
    this.bytes = 0;
  }

  check(): void {
    const digest = `sha256:${this.#hash.digest("hex")}`;
    if (this.bytes === this.#request.sizeBytes && digest === this.#request.digest) return;
    this.empty();
    throw new JobError(`filesystem layer verification failed for digest ${this.#request.digest}`, { mismatch: true });
  }
}

async function getInto(request: DownloadRequest, target: Target, progress: (bytes: number) => void, signal: AbortSignal): Promise<void> {
  let current = request;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const head = await get(current, target, progress, signal);
    const next = redirectTarget(head, current.url);
    if (next === undefined) return;
    current = { ...current, url: next, headers: headersAfterRedirect(current, next), tls: tlsAfterRedirect(current, next) };
  }
  throw new JobError(`GET "${request.url}": stopped after ${MAX_REDIRECTS} redirects`, {});
}

/** One GET. Its body goes into the target; that of an error becomes part of the error. */
async function get(
  request: DownloadRequest,
  target: Target,
  progress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<ResponseHead> {
  let receive = (_bytes: Buffer): void => undefined;
  const url = new URL(request.url);
  const options = { url, tls: request.tls, userAgent: USER_AGENT, timeoutMs: request.stallTimeoutMs };
  const connection = await openConnection({ ...options, receive: (bytes) => receive(bytes) }, signal);
  const { socket } = connection;
  if (signal.aborted) {
    socket.destroy();
    throw signal.reason;
  }
  return new Promise((resolve, reject) => {
    let head: ResponseHead | undefined;
    let errorBody = "";
    let heard = true;
    const reader = new BodyReader(
      (received) => {
        head = received;
        if (received.status === 200 && target.bytes > 0) target.empty();
        else if (received.status === 206) checkRange(received, target.bytes, request.sizeBytes);
      },
      (bytes) => {
        if (head?.status === 200 || head?.status === 206) {
          target.write(bytes);
          progress(target.bytes);
        } else if (errorBody.length < MAX_ERROR_BYTES) errorBody += bytes.toString("utf8");
      },
    );

    const settle = (error?: unknown): void => {
      clearInterval(stallTimer);
      signal.removeEventListener("abort", abort);
      socket.destroy();
      if (error !== undefined) {
        const isOurs = error instanceof JobError || !isNetworkError(error);
        return reject(isOurs ? error : new JobError(requestError("GET", request.url, error), { network: true }));
      }
      if (head === undefined) return reject(new JobError(requestError("GET", request.url, new Error("EOF")), { network: true }));
      const { status, headers } = head;
      if (status === 200 || status === 206 || redirectTarget(head, request.url) !== undefined) return resolve(head);
      if (status === 416) target.empty();
      const failure: DownloadFailure = { status, headers, body: errorBody };
      return reject(new JobError(`GET "${request.url}": status ${status}`, { ...failure }));
    };
    const attempt = (work: () => void): void => {
      try {
        work();
        if (reader.isComplete) settle();
      } catch (error) {
        settle(error);
      }
    };
    const abort = (): void => settle(signal.reason);
    receive = (bytes) => {
      heard = true;
      attempt(() => reader.push(bytes));
    };

    socket.write(headOf(connection, request, target.bytes));
    socket.on("error", settle);
    socket.on("close", () => attempt(() => reader.finish()));
    socket.on("close", () => settle());
    signal.addEventListener("abort", abort);
    // This process may have been busy unpacking: what came meanwhile is read before the registry is given up.
    const stallTimer = setInterval(() => {
      if (!heard) return void nextTurn().then(() => (heard ? undefined : settle(stalled(request))));
      heard = false;
    }, request.stallTimeoutMs);
  });
}

function isNetworkError(error: unknown): boolean {
  return codeOf(error) !== undefined && !isDiskFull(error);
}

function isDiskFull(error: unknown): boolean {
  return codeOf(error) === "ENOSPC" || codeOf(error) === "EDQUOT";
}

function stalled(request: DownloadRequest): JobError {
  return new JobError(`GET "${request.url}": no data for ${request.stallTimeoutMs / 1000} s`, { network: true });
}

function headOf(connection: Connection, request: DownloadRequest, offset: number): string {
  const headers: Record<string, string> = {
    host: new URL(request.url).host,
    "user-agent": USER_AGENT,
    accept: "*/*",
    "accept-encoding": "identity",
    connection: "close",
    ...request.headers,
    ...connection.headers,
    ...(offset > 0 ? { range: `bytes=${offset}-` } : {}),
  };
  const lines = Object.entries(headers).map(([name, value]) => {
    if (/[\r\n]/.test(name + value)) throw new Error("a header would break the request");
    return `${name}: ${value}\r\n`;
  });
  return `GET ${connection.target} HTTP/1.1\r\n${lines.join("")}\r\n`;
}

function checkRange(head: ResponseHead, offset: number, sizeBytes: number): void {
  const match = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(head.headers["content-range"] ?? "");
  if (match === null || Number(match[1]) !== offset || Number(match[2]) !== sizeBytes - 1) {
    throw new JobError("the registry answered another range than the one asked for", { network: true });
  }
}
