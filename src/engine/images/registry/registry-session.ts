import { STATUS_CODES } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";

import { EngineError, messageOf } from "../../../base/errors.ts";
import { ChildDiedError, type ChildPool } from "../../../store/child/pool.ts";
import { JobError } from "../../../store/child/serve.ts";
import { digestOf } from "../../../store/blobs.ts";
import type { RegistryAuth } from "../images.ts";
import type { RegistrySettings } from "../open-images.ts";
import { isDigest, type Reference } from "../reference.ts";
import { openAuthorizer, RefusedError, type Authorizer } from "./authorizer.ts";
import type { Endpoint } from "./endpoints.ts";
import type { ExchangeRequest, ExchangeResponse, SerializedResponse } from "./exchange.ts";
import { ACCEPTED_TYPES, MAX_MANIFEST_BYTES } from "./manifest.ts";
import { pullError } from "./registry-errors.ts";
import type { TlsSettings } from "./tls-settings.ts";
import { credentialsFor } from "./trust.ts";

/**
 * One repository at one endpoint, for the length of a pull or push. The daemon decides what is asked and with which authorization; the requests
 * themselves are made by a child (exchange.ts, download.ts).
 */
export interface RegistrySession {
  readonly endpoint: Endpoint;
  /** Finds out that a registry is there and whom it lets in. Rejects with Docker's `Get "…/v2/": …`. */
  ping: (signal?: AbortSignal) => Promise<void>;
  /** Whether it lets the user in; rejects when not. */
  logIn: (signal?: AbortSignal) => Promise<void>;
  /** The digest of what a tag or digest names, when the registry has it and says so; otherwise undefined. */
  resolve: (tagOrDigest: string, signal?: AbortSignal) => Promise<string | undefined>;
  getManifest: (tagOrDigest: string, signal?: AbortSignal) => Promise<{ bytes: Buffer; digest: string; contentType: string | undefined }>;
  /** A small blob, verified. */
  getBlob: (digest: string, signal?: AbortSignal) => Promise<Buffer>;
  listTags: (signal?: AbortSignal) => Promise<string[]>;
  /** What a child needs to download a blob by itself. */
  blobRequest: (digest: string) => { url: string; headers: Record<string, string>; tls: TlsSettings };
  /** Takes up a 401 that a download or upload with the headers `shown` got. False when nothing more can be offered. */
  answerChallenge: (headers: Record<string, string>, shown: Record<string, string>, signal?: AbortSignal) => Promise<boolean>;
  /** One request, let in where it goes to the registry itself; whatever comes back. Not repeated when the network fails. */
  ask: (request: SessionRequest, signal?: AbortSignal) => Promise<ExchangeResponse>;
  /** What a child needs to send something by itself to where an answer pointed. */
  requestTo: (url: string) => { url: string; headers: Record<string, string>; tls: TlsSettings };
}

export interface SessionRequest {
  method: ExchangeRequest["method"];
  /** Below the repository (`/blobs/…`), or all of it where an answer pointed. */
  url: string;
  headers?: Record<string, string>;
  body?: string;
  /** A repository of the same registry that has to be readable too. */
  alsoFrom?: string;
}

export interface SessionOptions {
  /** Without a path: for logging in only. */
  reference: Reference;
  endpoint: Endpoint;
  auth: RegistryAuth | undefined;
  /** May it be written to; false by default. */
  pushes?: boolean;
  children: ChildPool;
  settings: RegistrySettings;
}

const MAX_ATTEMPTS = 3;
/** Docker knows no limit; this many tags fill a list of megabytes. */
const MAX_TAG_PAGES = 100;

export function openSession(options: SessionOptions): RegistrySession {
  const { reference, endpoint } = options;
  const registry = new URL(endpoint.baseUrl);
  const repositoryUrl = `${endpoint.baseUrl}/v2/${reference.path}`;
  const tls: TlsSettings = { host: registry.host, insecure: endpoint.insecureTls, certificateFolders: options.settings.certificateFolders };
  const credentials = endpoint.isMirror ? undefined : credentialsFor(reference.domain, options.auth);
  /** By the other repository that has to be readable. */
  const authorizers = new Map<string, Authorizer>();

  const send = async (request: Omit<ExchangeRequest, "tls" | "maxBytes">, signal?: AbortSignal): Promise<ExchangeResponse> => {
    const payload: ExchangeRequest = { ...request, tls: tlsFor(request.url), maxBytes: MAX_MANIFEST_BYTES };
    const job = { kind: "exchange", payload, what: `asking ${registry.host}`, heavy: false };
    const answer = await options.children.run(job, signal).catch((error: unknown) => {
      // Of what it does for others besides.
      if (error instanceof ChildDiedError) return options.children.run(job, signal);
      throw error;
    });
    // What exchange.ts of the same build answers.
    const response = answer as SerializedResponse;
    return { ...response, body: Buffer.from(response.body, "base64") };
  };
  const authorizerFor = (signal?: AbortSignal, alsoFrom = ""): Authorizer => {
    const known = authorizers.get(alsoFrom);
    if (known !== undefined) return known;
    const actions = options.pushes === true ? "pull,push" : "pull";
    const scopes = [
      ...(reference.path === "" ? [] : [`repository:${reference.path}:${actions}`]),
      ...(alsoFrom === "" ? [] : [`repository:${alsoFrom}:pull`]),
    ];
    const authorizer = openAuthorizer({ registry, scopes, credentials, exchange: (request) => send(request, signal) });
    authorizers.set(alsoFrom, authorizer);
    return authorizer;
  };
  /** Who is not the registry does not see what lets us into it. */
  const authorizationFor = (url: string, authorizer: Authorizer): Record<string, string> =>
    new URL(url).origin === registry.origin ? authorizer.headers() : {};

  const askOnce = async (request: SessionRequest, signal?: AbortSignal): Promise<ExchangeResponse> => {
    const { method, headers, body, alsoFrom } = request;
    const url = request.url.startsWith("/") ? repositoryUrl + request.url : request.url;
    const authorizer = authorizerFor(signal, alsoFrom);
    const attempt = async (): Promise<{ response: ExchangeResponse; shown: Record<string, string> }> => {
      const shown = authorizationFor(url, authorizer);
      return { shown, response: await send({ method, url, headers: { ...headers, ...shown }, body }, signal) };
    };
    const { response, shown } = await attempt();
    if (response.status !== 401 || !(await authorizer.answer(response, shown))) return response;
    return (await attempt()).response;
  };
  const ask = async (
    method: "GET" | "HEAD",
    url: string,
    headers: Record<string, string>,
    signal?: AbortSignal,
  ): Promise<ExchangeResponse> => {
    const once = (): Promise<ExchangeResponse> => askOnce({ method, url, headers }, signal);
    try {
      // What a HEAD would tell, the GET that follows tells too.
      return method === "HEAD" ? await once() : await withRetries(once, options.settings, signal);
    } catch (error) {
      throw refused(method, url, error, "system");
    }
  };
  const withWayOut = (error: unknown): never => {
    const isDistrusted = /server gave HTTP response to HTTPS client|failed to verify certificate/.test(messageOf(error));
    if (!isDistrusted || endpoint.isMirror || endpoint.insecureTls) throw error;
    const advice = `to use this registry all the same, start the daemon with --insecure-registry ${registry.host}, or put its authority's certificate into certs.d`;
    throw new EngineError("system", `${messageOf(error)}: ${advice}`, { cause: error });
  };
  const greetingUrl = `${endpoint.baseUrl}/v2/`;
  const greet = (signal?: AbortSignal): Promise<ExchangeResponse> =>
    send({ method: "GET", url: greetingUrl, headers: authorizerFor(signal).headers() }, signal).catch(withWayOut);
  const askWell = async (url: string, headers: Record<string, string>, signal?: AbortSignal): Promise<ExchangeResponse> => {
    const response = await ask("GET", url, headers, signal);
    if (response.status !== 200) throw pullError(response, reference);
    return response;
  };

  const tlsFor = (url: string): TlsSettings => {
    // A token server, or wherever else a registry points, is held to its own certificates.
    const { host } = new URL(url);
    return host === registry.host ? tls : { ...tls, host, insecure: false };
  };
  const requestTo: RegistrySession["requestTo"] = (url) => ({ url, headers: authorizationFor(url, authorizerFor()), tls: tlsFor(url) });

  return {
    endpoint,
    async ping(signal) {
      const response = await greet(signal);
      try {
        if (response.status === 401) await authorizerFor(signal).answer(response, {});
      } catch (error) {
        // Said by the request that needs to be let in.
        if (!(error instanceof RefusedError)) throw error;
      }
    },
    async logIn(signal) {
      let response = await greet(signal);
      try {
        if (response.status === 401 && (await authorizerFor(signal).answer(response, {}))) response = await greet(signal);
      } catch (error) {
        throw refused("GET", greetingUrl, error, "unauthorized");
      }
      const { status } = response;
      if (status === 200) return;
      const why = `${status} ${STATUS_CODES[status] ?? ""}`.trimEnd();
      throw new EngineError(status === 401 ? "unauthorized" : "system", `login attempt to ${greetingUrl} failed with status: ${why}`);
    },
    async resolve(tagOrDigest, signal) {
      try {
        const response = await ask("HEAD", `${repositoryUrl}/manifests/${tagOrDigest}`, { accept: ACCEPTED_TYPES }, signal);
        const digest = response.headers["docker-content-digest"];
        return response.status === 200 && digest !== undefined && isDigest(digest) ? digest : undefined;
      } catch (error) {
        if (isNetworkFailure(error)) return undefined;
        throw error;
      }
    },
    async getManifest(tagOrDigest, signal) {
      const response = await askWell(`${repositoryUrl}/manifests/${tagOrDigest}`, { accept: ACCEPTED_TYPES }, signal);
      const digest = digestOf(response.body);
      const expected = tagOrDigest.includes(":") ? tagOrDigest : response.headers["docker-content-digest"];
      if (expected !== undefined && expected !== digest && expected.startsWith("sha256:")) {
        throw new EngineError("system", `manifest verification failed for digest ${expected}`);
      }
      return { bytes: response.body, digest, contentType: response.headers["content-type"] };
    },
    async getBlob(digest, signal) {
      const response = await askWell(`${repositoryUrl}/blobs/${digest}`, {}, signal);
      if (digestOf(response.body) !== digest) throw new EngineError("system", `image config verification failed for digest ${digest}`);
      return response.body;
    },
    async listTags(signal) {
      const tags: string[] = [];
      let url: string | undefined = `${repositoryUrl}/tags/list`;
      for (let page = 0; url !== undefined && page < MAX_TAG_PAGES; page += 1) {
        const response = await askWell(url, {}, signal);
        tags.push(...readTags(response.body));
        url = nextPage(response, registry);
      }
      return tags;
    },
    blobRequest: (digest) => requestTo(`${repositoryUrl}/blobs/${digest}`),
    answerChallenge: (headers, shown, signal) =>
      authorizerFor(signal).answer({ url: repositoryUrl, status: 401, headers, body: Buffer.alloc(0) }, shown),
    ask: askOnce,
    requestTo,
  };
}

/** A refusal with what was asked, in Docker's words; other errors as they are. */
function refused(method: "GET" | "HEAD", url: string, error: unknown, kind: "system" | "unauthorized"): unknown {
  if (!(error instanceof RefusedError)) return error;
  return new EngineError(kind, `${method === "HEAD" ? "Head" : "Get"} "${url}": ${error.message}`, { cause: error });
}

/** Small requests are repeated when the registry or the way to it stumbles. */
async function withRetries(
  attempt: () => Promise<ExchangeResponse>,
  settings: RegistrySettings,
  signal: AbortSignal | undefined,
): Promise<ExchangeResponse> {
  for (let tries = 1, pauseMs = settings.retryDelayMs; ; tries += 1, pauseMs *= 2) {
    try {
      const response = await attempt();
      if (response.status < 500 || tries === MAX_ATTEMPTS) return response;
    } catch (error) {
      if (!isNetworkFailure(error) || tries === MAX_ATTEMPTS) throw error;
    }
    await sleep(pauseMs, undefined, signal ? { signal } : {});
  }
}

function readTags(body: Buffer): string[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString("utf8"));
  } catch {
    parsed = undefined;
  }
  const tags: unknown = typeof parsed === "object" && parsed !== null && "tags" in parsed ? parsed.tags : undefined;
  if (tags === null) return [];
  if (!Array.isArray(tags)) throw new EngineError("system", "the registry's list of tags cannot be read");
  return tags.filter((tag): tag is string => typeof tag === "string" && /^\w[\w.-]{0,127}$/.test(tag));
}

/** `Link: </v2/…>; rel="next"`, on the same registry only. */
function nextPage(response: ExchangeResponse, registry: URL): string | undefined {
  const target = /<([^>]+)>\s*;\s*rel="?next"?/.exec(response.headers["link"] ?? "")?.[1];
  if (target === undefined || !URL.canParse(target, response.url)) return undefined;
  const url = new URL(target, response.url);
  return url.origin === registry.origin ? url.href : undefined;
}

/** True when another endpoint may do better: the network failed, not the registry. */
export function isNetworkFailure(error: unknown): boolean {
  return error instanceof JobError && error.details["network"] === true;
}
