import http from "node:http";
import https from "node:https";
import { lookup as dnsLookup, type LookupOptions } from "node:dns";
import { isIP } from "node:net";
import { JobError } from "../../../store/child/serve.ts";
import { requestError } from "./network-words.ts";
import { proxyFor } from "./proxy.ts";
import { headersAfterRedirect, redirectTarget, tlsAfterRedirect } from "./redirect.ts";
import { secureContextOf, tlsKeyOf, type TlsSettings } from "./tls-settings.ts";
import { isPrivateAddress } from "./trust.ts";

/**
 * Small requests to registries and token servers: everything but the layers. They run in a child, because TLS alone would hold the daemon
 * up for longer than its loop may stand still. Redirects are followed here; Authorization never goes to another origin.
 */
export interface ExchangeRequest {
  method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  url: string;
  headers: Record<string, string>;
  body?: string | undefined;
  tls: TlsSettings;
  maxBytes: number;
  /** Refuses addresses of private networks: for hosts that a stranger named. */
  publicOnly?: boolean | undefined;
}

export interface ExchangeResponse {
  /** Where the answer came from, after redirects. */
  url: string;
  status: number;
  /** Names in lower case. */
  headers: Record<string, string>;
  body: Buffer;
}

/** The same as it passes between processes. */
export type SerializedResponse = Omit<ExchangeResponse, "body"> & { body: string };

const MAX_REDIRECTS = 5;
const CONNECT_TIMEOUT_MS = 30_000;
const ANSWER_TIMEOUT_MS = 60_000;
/** Registries that keep blobs elsewhere copy a whole one before they answer. */
const PUT_TIMEOUT_MS = 600_000;

const agents = new Map<string, http.Agent | https.Agent>();

/** Child side: carries one request out. Network errors reject as JobErrors with `network: true`. */
export async function exchange(request: ExchangeRequest, signal: AbortSignal): Promise<SerializedResponse> {
  let current = request;
  for (let redirects = 0; ; redirects += 1) {
    const response = await send(current, signal);
    const target = redirectTarget(response, current.url);
    if (target === undefined) return { ...response, body: response.body.toString("base64") };
    if (redirects === MAX_REDIRECTS) throw new JobError(`${request.method} "${request.url}": stopped after ${MAX_REDIRECTS} redirects`, {});
    current = { ...current, url: target, headers: headersAfterRedirect(current, target), tls: tlsAfterRedirect(current, target) };
  }
}

function send(request: ExchangeRequest, signal: AbortSignal): Promise<ExchangeResponse> {
  const url = new URL(request.url);
  const fail = (error: unknown): JobError =>
    error instanceof JobError ? error : new JobError(requestError(request.method, request.url, error), { network: true });
  if (request.publicOnly && isIP(url.hostname.replace(/^\[|\]$/g, "")) !== 0) return Promise.reject(fail(new Error(PRIVATE_REFUSED)));

  return new Promise<ExchangeResponse>((resolve, reject) => {
    const options: https.RequestOptions = {
      method: request.method,
      headers: { "user-agent": USER_AGENT, ...request.headers },
      signal,
      agent: agentFor(url, request.tls),
      // A proxy looks names up by itself.
      ...(request.publicOnly && proxyFor(url) === undefined ? { lookup: publicLookup } : {}),
    };
    const sent = (url.protocol === "https:" ? https : http).request(url, options, (response) => {
      clearTimeout(connectTimer);
      collect(response, request.maxBytes).then(
        (body) => resolve({ url: request.url, status: response.statusCode ?? 0, headers: headersOf(response.headers), body }),
        (error: unknown) => reject(fail(error)),
      );
    });
    const connectTimer = setTimeout(() => sent.destroy(new Error("i/o timeout")), CONNECT_TIMEOUT_MS);
    sent.setTimeout(request.method === "PUT" ? PUT_TIMEOUT_MS : ANSWER_TIMEOUT_MS, () =>
      sent.destroy(new Error("net/http: timeout awaiting response headers")),
    );
    sent.on("close", () => clearTimeout(connectTimer));
    sent.on("error", (error) => reject(signal.aborted ? error : fail(error)));
    sent.end(request.body);
  });
}

const PRIVATE_REFUSED = "refused: a host that was only named by the registry points into a private network";
export const USER_AGENT = "tsubo/0.1 (linux)";

/** Connections are kept apart by proxy and by whom TLS is to trust. */
export function agentFor(url: URL, settings: TlsSettings): http.Agent | https.Agent {
  const proxy = proxyFor(url)?.href;
  const isTls = url.protocol === "https:";
  const key = `${isTls ? tlsKeyOf(settings) : ""} ${proxy}`;
  const known = agents.get(key);
  if (known !== undefined) return known;
  const options = { keepAlive: true, ...(proxy === undefined ? {} : { proxyEnv: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy } }) };
  const agent = isTls
    ? new https.Agent({ ...options, secureContext: secureContextOf(settings), rejectUnauthorized: !settings.insecure })
    : new http.Agent(options);
  agents.set(key, agent);
  return agent;
}

export async function collect(response: http.IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    // Without an encoding a response gives Buffers.
    const piece = chunk as Buffer;
    bytes += piece.length;
    if (bytes > maxBytes) {
      response.destroy();
      throw new JobError(`the registry's answer is longer than ${maxBytes} bytes`, { tooLarge: true });
    }
    chunks.push(piece);
  }
  return Buffer.concat(chunks);
}

export function headersOf(headers: http.IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, Array.isArray(value) ? value.join(", ") : value]],
    ),
  );
}

type LookupCallback = (
  error: NodeJS.ErrnoException | null,
  address: string | { address: string; family: number }[],
  family?: number,
) => void;

function publicLookup(hostname: string, options: LookupOptions, callback: LookupCallback): void {
  dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, []);
    if (addresses.some(({ address }) => isPrivateAddress(address))) return callback(new Error(PRIVATE_REFUSED), []);
    if (options.all) return callback(null, addresses);
    const [first] = addresses;
    return callback(null, first?.address ?? "", first?.family ?? 4);
  });
}
