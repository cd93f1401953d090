import { createWriteStream } from "node:fs";
import http from "node:http";
import https from "node:https";
import { pipeline } from "node:stream/promises";

import { JobError } from "../../../store/child/serve.ts";
import { agentFor, headersOf, USER_AGENT } from "./exchange.ts";
import { requestError } from "./network-words.ts";
import { redirectTarget, tlsAfterRedirect } from "./redirect.ts";
import type { TlsSettings } from "./tls-settings.ts";

/** Downloads whatever a URL gives into a new file, in a child. Nobody can say whether it is the right thing. */
export interface FetchRequest {
  url: string;
  path: string;
  tls: TlsSettings;
  /** Without a byte for this long the server counts as gone. */
  stallTimeoutMs: number;
}

/** As far as it is known. */
export interface FetchProgress {
  current: number;
  total: number | undefined;
}

export interface FetchResult {
  /** Header fields, as they are; empty where there is none. */
  lastModified: string;
  disposition: string;
  contentType: string;
}

const MAX_REDIRECTS = 10;

export async function fetchFile(
  request: FetchRequest,
  progress: (value: FetchProgress) => void,
  signal: AbortSignal,
): Promise<FetchResult> {
  let current = request;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects += 1) {
    const response = await get(current, signal);
    const status = response.statusCode ?? 0;
    const next = redirectTarget({ status, headers: headersOf(response.headers) }, current.url);
    if (next === undefined && status !== 200)
      throw new JobError(`failed to GET ${current.url} with status ${status} ${response.statusMessage}`, {});
    if (next === undefined) return save(response, current, progress, signal);
    response.destroy();
    current = { ...current, url: next, tls: tlsAfterRedirect(current, next) };
  }
  throw new JobError(`GET "${request.url}": stopped after ${MAX_REDIRECTS} redirects`, {});
}

function get({ url, tls, stallTimeoutMs }: FetchRequest, signal: AbortSignal): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const target = new URL(url);
    const options = { agent: agentFor(target, tls), headers: { "user-agent": USER_AGENT }, signal };
    const sent = (target.protocol === "https:" ? https : http).get(target, options, resolve);
    sent.setTimeout(stallTimeoutMs, () => sent.destroy(new Error("i/o timeout")));
    sent.on("error", (error) => reject(new JobError(requestError("GET", url, error), { network: true })));
  });
}

async function save(
  response: http.IncomingMessage,
  { url, path }: FetchRequest,
  progress: (value: FetchProgress) => void,
  signal: AbortSignal,
): Promise<FetchResult> {
  const length = Number(response.headers["content-length"]);
  const total = Number.isSafeInteger(length) ? length : undefined;
  let current = 0;
  response.on("data", (bytes: Buffer) => progress({ current: (current += bytes.length), total }));
  try {
    await pipeline(response, createWriteStream(path, { flags: "wx", mode: 0o600 }), { signal });
  } catch (error) {
    throw new JobError(requestError("GET", url, error), { network: true });
  }
  return {
    lastModified: response.headers["last-modified"] ?? "",
    disposition: response.headers["content-disposition"] ?? "",
    contentType: response.headers["content-type"] ?? "",
  };
}
