import { connect, isIP, type Socket } from "node:net";
import type { Readable } from "node:stream";
import { codeOf, messageOf } from "../../base/errors.ts";
import { CommandFailure, ConnectionError, DaemonError } from "../failure.ts";
import type { Host } from "./host.ts";
import { exchange, type Answer } from "./http.ts";
import { encodeJson } from "./json.ts";

/**
 * A client of the Engine API, for any Docker engine.
 *
 * The version is negotiated once, by the first call: the lower of ours and the engine's (`HEAD /_ping`), or what DOCKER_API_VERSION says.
 * Every request has a connection of its own (`http.ts`).
 */

/** The newest Engine API this client speaks. */
export const API_VERSION = "1.50";
/** Before it pings say nothing, and it is what an engine without the header speaks. */
const OLDEST_VERSION = "1.24";
/** An error's body is read up to here. */
const ERROR_BODY_BYTES = 1024 * 1024;

export type Query = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>;

export type RequestOptions = {
  readonly query?: Query;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as it comes. */
  readonly stream?: AsyncIterable<string | Uint8Array>;
  readonly headers?: Readonly<Record<string, string>>;
};

export type Client = {
  readonly host: Host;
  /** The negotiated version. */
  version(): Promise<string>;
  /** Whether it is our own engine, which can more than Docker's. */
  isTsubo(): Promise<boolean>;
  /** Sends a request; gives the answer's body once its headers are here. A status of 400 or more throws a DaemonError. */
  request(method: string, path: string, options?: RequestOptions): Promise<Readable>;
  /** The same, with the answer's headers. */
  answer(method: string, path: string, options?: RequestOptions): Promise<Answer>;
  /** The answer's body as text. */
  text(method: string, path: string, options?: RequestOptions): Promise<string>;
  /** The answer's JSON. The caller names the type: the engine's answers are trusted to be the Engine API's. */
  json<T>(method: string, path: string, options?: RequestOptions): Promise<T>;
  /** Upgrades the connection: the socket carries a container's streams from here on. */
  hijack(path: string, options?: RequestOptions): Promise<Socket>;
};

export function openClient(host: Host, httpHeaders: Readonly<Record<string, string>>): Client {
  const baseHeaders = {
    ...httpHeaders,
    "User-Agent": "Tsubo-Client",
    Host: "host" in host.address ? `${host.address.host}:${host.address.port}` : "localhost",
  };
  let negotiated: Promise<string> | undefined;
  let pinged: Promise<Answer | undefined> | undefined;

  async function send(method: string, path: string, options: RequestOptions, more: Readonly<Record<string, string>> = {}) {
    const body = options.body === undefined ? undefined : Buffer.from(encodeJson(options.body));
    const type = body === undefined ? {} : { "Content-Type": "application/json" };
    const headers = { ...baseHeaders, ...type, ...options.headers, ...more };
    try {
      return await exchange(open(host), {
        method,
        path: `${path}${encodeQuery(options.query)}`,
        headers,
        body,
        stream: options.stream,
      });
    } catch (error) {
      // What was sent broke off, not the connection.
      if (error instanceof CommandFailure) throw error;
      throw connectionError(host, error);
    }
  }

  async function ask(method: string, path: string, options: RequestOptions): Promise<Answer> {
    const answer = await send(method, path, options);
    if (!("status" in answer))
      throw new ConnectionError(`error during connect: ${host.url}: ${path} switched protocols without being asked to`);
    if (answer.status >= 400) throw await readError(answer, path);
    return answer;
  }

  async function askPing(): Promise<Answer | undefined> {
    const once = (method: string): Promise<Answer | undefined> =>
      ask(method, "/_ping", {}).catch((error: unknown) => {
        if (error instanceof ConnectionError) throw error;
        return undefined;
      });
    const answer = (await once("HEAD")) ?? (await once("GET"));
    answer?.body.destroy();
    return answer;
  }

  const ping = (): Promise<Answer | undefined> => (pinged ??= askPing());

  async function negotiate(): Promise<string> {
    const forced = (process.env["DOCKER_API_VERSION"] ?? "").replace(/^v/, "");
    if (forced !== "") return forced;
    const theirs = (await ping())?.headers["api-version"] ?? OLDEST_VERSION;
    return compareVersions(theirs, API_VERSION) < 0 ? theirs : API_VERSION;
  }

  const version = (): Promise<string> => (negotiated ??= negotiate());
  const answer = async (method: string, path: string, options: RequestOptions = {}): Promise<Answer> =>
    ask(method, `/v${await version()}${path}`, options);
  const request = async (method: string, path: string, options: RequestOptions = {}): Promise<Readable> =>
    (await answer(method, path, options)).body;
  const text = async (method: string, path: string, options: RequestOptions = {}): Promise<string> => {
    const body = await request(method, path, options);
    return readText(body, Number.POSITIVE_INFINITY).catch((error: unknown) => {
      throw connectionError(host, error);
    });
  };
  return {
    host,
    version,
    isTsubo: async () => (await ping())?.headers["server"]?.startsWith("Tsubo/") ?? false,
    request,
    answer,
    text,
    json: async (method, path, options = {}) => JSON.parse(await text(method, path, options)),
    hijack: async (path, options = {}) => {
      const answer = await send("POST", `/v${await version()}${path}`, options, { Connection: "Upgrade", Upgrade: "tcp" });
      if ("status" in answer) throw await readError(answer, path);
      return answer;
    },
  };
}

function open({ address }: Host): Socket {
  if ("socketPath" in address) return connect(address.socketPath);
  const { host, port, tls } = address;
  if (tls === undefined) return connect({ host, port, noDelay: true });
  return process.getBuiltinModule("node:tls").connect({
    host,
    port,
    ...(isIP(host) === 0 && { servername: host }),
    ...(tls.ca && { ca: tls.ca }),
    ...(tls.cert && { cert: tls.cert }),
    ...(tls.key && { key: tls.key }),
    rejectUnauthorized: tls.verify,
  });
}

/** Compares versions such as `1.9` and `1.41`; what is no number is older than any. */
export function compareVersions(a: string, b: string): number {
  const numbers = (version: string): number[] => version.split(".").map((part) => Number(part) || 0);
  const [x, y] = [numbers(a), numbers(b)];
  for (let i = 0; i < Math.max(x.length, y.length); i += 1) {
    const difference = (x[i] ?? 0) - (y[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** A path's part that may hold any character but a slash's meaning: `docker` sends names as they are, we escape what URLs cannot hold. */
export function segment(name: string): string {
  return encodeURI(name).replaceAll("?", "%3F").replaceAll("#", "%23");
}

function encodeQuery(query: Query | undefined): string {
  if (query === undefined) return "";
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined) continue;
    for (const item of Array.isArray(value) ? value : [value])
      parameters.append(key, item === true ? "1" : item === false ? "0" : String(item));
  }
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}

async function readText(body: Readable, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    // Without an encoding set, a body's chunks are Buffers.
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size > limit) break;
  }
  return Buffer.concat(chunks).toString("utf8");
}

async function readError({ status, statusText, body: content }: Answer, path: string): Promise<Error> {
  const text = (await readText(content, ERROR_BODY_BYTES).catch(() => "")).trim();
  if (status < 400) return new ConnectionError(`unable to upgrade to tcp, received ${status}`);
  if (text === "") {
    return new DaemonError(
      status,
      `request returned ${status} ${statusText} for API route and version ${path}, check if the server supports the requested API version`,
    );
  }
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === "object" && body !== null && "message" in body && typeof body.message === "string") {
      const excerpt = "excerpt" in body && typeof body.excerpt === "string" ? body.excerpt : undefined;
      return new DaemonError(status, body.message.trim(), excerpt);
    }
  } catch {
    // A plain-text error, as old engines and proxies send.
  }
  return new DaemonError(status, text);
}

function connectionError(host: Host, error: unknown): Error {
  const code = codeOf(error);
  if (code === "EACCES" || code === "EPERM") {
    return new ConnectionError(
      `permission denied while trying to connect to the engine at ${host.url}: run the command as root (sudo), or join the group that owns the socket`,
      { cause: error },
    );
  }
  if (code === "ENOENT" || code === "ECONNREFUSED" || code === "ENOTSOCK" || code === "ENOTDIR") {
    return new ConnectionError(
      `Cannot connect to the Tsubo daemon at ${host.url}. Is tsubod running?\nStart it with \`npm start\` or \`tsubod\`, or name another engine with -H, TSUBO_HOST or DOCKER_HOST.`,
      { cause: error },
    );
  }
  return new ConnectionError(`error during connect: ${host.url}: ${messageOf(error).trim()}`, { cause: error });
}
