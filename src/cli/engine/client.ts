import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { codeOf, messageOf } from "../../base/errors.ts";
import { ConnectionError, DaemonError } from "../failure.ts";
import { encodeJson } from "./json.ts";
import type { Host } from "./host.ts";

/**
 * A client of the Engine API, for any Docker engine.
 *
 * The version is negotiated once, by the first call: the lower of ours and the engine's (`HEAD /_ping`), or what DOCKER_API_VERSION says.
 * node:http comes by process.getBuiltinModule because importing it as an ES module evaluates its lazy exports, which takes 60 ms.
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
  readonly stream?: NodeJS.ReadableStream;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
};

export type Client = {
  readonly host: Host;
  /** The negotiated version. */
  version(): Promise<string>;
  /** Sends a request; gives the answer once its headers are here. A status of 400 or more throws a DaemonError. */
  request(method: string, path: string, options?: RequestOptions): Promise<IncomingMessage>;
  /** The answer's JSON as text. */
  text(method: string, path: string, options?: RequestOptions): Promise<string>;
  /** The answer's JSON. The caller names the type: the engine's answers are trusted to be the Engine API's. */
  json<T>(method: string, path: string, options?: RequestOptions): Promise<T>;
  /** Upgrades the connection: the socket carries a container's streams from here on. */
  hijack(path: string, options?: RequestOptions): Promise<Socket>;
};

export function openClient(host: Host, httpHeaders: Readonly<Record<string, string>>): Client {
  const tls = "host" in host.address ? host.address.tls : undefined;
  const http = process.getBuiltinModule("node:http");
  const transport = tls === undefined ? http : process.getBuiltinModule("node:https");
  const agent = new transport.Agent({ keepAlive: true });
  const target =
    "host" in host.address
      ? {
          host: host.address.host,
          port: host.address.port,
          ...(tls && { ca: tls.ca, cert: tls.cert, key: tls.key, rejectUnauthorized: tls.verify }),
        }
      : { socketPath: host.address.socketPath };
  const baseHeaders = {
    ...httpHeaders,
    "User-Agent": "Tsubo-Client",
    Host: "host" in host.address ? `${host.address.host}:${host.address.port}` : "localhost",
  };
  let negotiated: Promise<string> | undefined;

  function send(method: string, path: string, options: RequestOptions, upgrade: false): Promise<IncomingMessage>;
  function send(method: string, path: string, options: RequestOptions, upgrade: true): Promise<Socket>;
  function send(method: string, path: string, options: RequestOptions, upgrade: boolean): Promise<IncomingMessage | Socket> {
    const body = options.body === undefined ? undefined : Buffer.from(encodeJson(options.body));
    const headers: Record<string, string | number> = { ...baseHeaders, ...options.headers };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (upgrade) Object.assign(headers, { Connection: "Upgrade", Upgrade: "tcp" });
    if (body !== undefined || (method === "POST" && options.stream === undefined)) headers["Content-Length"] = body?.length ?? 0;
    return new Promise((resolve, reject) => {
      const request = transport.request({
        ...target,
        agent,
        method,
        path: `${path}${encodeQuery(options.query)}`,
        headers,
        ...(options.signal && { signal: options.signal }),
      });
      request.on("error", (error) => reject(connectionError(host, error)));
      request.on("response", (response) => {
        if (!upgrade && (response.statusCode ?? 0) < 400) resolve(response);
        else readError(response, path).then(reject, reject);
      });
      request.on("upgrade", (_response, socket, head) => {
        if (head.length > 0) socket.unshift(head);
        resolve(socket);
      });
      if (options.stream !== undefined) options.stream.pipe(request);
      else request.end(body);
    });
  }

  async function negotiate(): Promise<string> {
    const forced = (process.env["DOCKER_API_VERSION"] ?? "").replace(/^v/, "");
    if (forced !== "") return forced;
    let response = await send("HEAD", "/_ping", {}, false).catch((error: unknown) => {
      if (error instanceof ConnectionError) throw error;
      return undefined;
    });
    response ??= await send("GET", "/_ping", {}, false).catch((error: unknown) => {
      if (error instanceof ConnectionError) throw error;
      return undefined;
    });
    response?.resume();
    const theirs = String(response?.headers["api-version"] ?? OLDEST_VERSION);
    return compareVersions(theirs, API_VERSION) < 0 ? theirs : API_VERSION;
  }

  const version = (): Promise<string> => (negotiated ??= negotiate());
  const request = async (method: string, path: string, options: RequestOptions = {}): Promise<IncomingMessage> =>
    send(method, `/v${await version()}${path}`, options, false);
  const text = async (method: string, path: string, options: RequestOptions = {}): Promise<string> =>
    readText(await request(method, path, options), Number.POSITIVE_INFINITY);
  return {
    host,
    version,
    request,
    text,
    json: async (method, path, options = {}) => JSON.parse(await text(method, path, options)),
    hijack: async (path, options = {}) => send("POST", `/v${await version()}${path}`, options, true),
  };
}

/** Compares versions such as `1.9` and `1.41`. */
export function compareVersions(a: string, b: string): number {
  const [x, y] = [a.split(".").map(Number), b.split(".").map(Number)];
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

async function readText(response: IncomingMessage, limit: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response) {
    // Without an encoding set, a response's chunks are Buffers.
    chunks.push(chunk as Buffer);
    size += (chunk as Buffer).length;
    if (size > limit) break;
  }
  return Buffer.concat(chunks).toString("utf8");
}

async function readError(response: IncomingMessage, path: string): Promise<Error> {
  const status = response.statusCode ?? 0;
  const text = (await readText(response, ERROR_BODY_BYTES).catch(() => "")).trim();
  if (status < 400) return new ConnectionError(`unable to upgrade to tcp, received ${status}`);
  if (text === "") {
    return new DaemonError(
      status,
      `request returned ${status} ${response.statusMessage ?? ""} for API route and version ${path}, check if the server supports the requested API version`,
    );
  }
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === "object" && body !== null && "message" in body && typeof body.message === "string")
      return new DaemonError(status, body.message.trim());
  } catch {
    // A plain-text error, as old engines and proxies send.
  }
  return new DaemonError(status, text);
}

function connectionError(host: Host, error: Error): Error {
  const code = codeOf(error);
  if (error.name === "AbortError") return error;
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
  return new ConnectionError(`error during connect: ${host.url}: ${messageOf(error)}`, { cause: error });
}
