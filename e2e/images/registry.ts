import http, { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";

import type { Blob, Document, TestImage } from "./image.ts";
import { openUploads } from "./uploads.ts";

/**
 * A registry that does what a test wants: it serves what was put into it, tells what it was asked, and lets scripts answer in its place.
 * It speaks as much of the distribution spec as pulls and pushes need.
 */
export interface ScriptedRegistry {
  /** `ADDRESS:PORT` */
  readonly host: string;
  /** Every request so far, oldest first. */
  readonly requests: SeenRequest[];
  /** Puts an image under a tag, or the last of the indexes above it; its reference. */
  put(name: string, image: TestImage, ...indexes: Document[]): string;
  /** From now on `script` sees requests first; what it does not answer (false) is answered as usual. Later ones go before earlier ones. */
  script(script: Script): void;
  /** Forgets scripts and requests; what was put stays. */
  heal(): void;
  /** The manifest under a tag. */
  manifest(name: string): Document | undefined;
  /** What has come of uploads that did not end, by their path. */
  readonly uploads: Map<string, Buffer>;
  /** Forgets what was put and pushed. */
  empty(): void;
  /** Requests for a blob's content. */
  blobRequests(blob?: Blob): SeenRequest[];
  close(): Promise<void>;
}

export interface SeenRequest {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  /** With its body. */
  incoming: IncomingMessage;
}

/** True: answered, or will be. */
export type Script = (request: SeenRequest, response: ServerResponse) => boolean;

export interface RegistryOptions {
  /** With `ca` it lets in only clients with a certificate of that authority. */
  tls?: { cert: string; key: string; ca?: string };
  /** Loopback unless said otherwise, where no TLS is asked for. */
  address?: string;
}

export async function openScriptedRegistry({ tls, address = "127.0.0.1" }: RegistryOptions = {}): Promise<ScriptedRegistry> {
  const manifests = new Map<string, Document>();
  const blobs = new Map<string, Buffer>();
  const owners = new Map<string, Set<string>>();
  const uploads = openUploads(blobs, owners, manifests);
  const requests: SeenRequest[] = [];
  let scripts: Script[] = [];

  const answer = (incoming: IncomingMessage, response: ServerResponse): void => {
    const request = { method: incoming.method ?? "", path: incoming.url ?? "", headers: incoming.headers, incoming };
    requests.push(request);
    if (!scripts.some((script) => script(request, response))) serve(request, response);
  };
  const serve = (request: SeenRequest, response: ServerResponse): void => {
    const [, repository = "", kind, what = ""] = /^\/v2\/(.+)\/(manifests|blobs|tags)\/([^?]+)/.exec(request.path) ?? [];
    if (uploads.serve(request, response)) return;
    if (request.path === "/v2/") return void response.end("{}");
    if (kind === "tags") {
      const tags = [...manifests.keys()].filter((key) => key.startsWith(`${repository}:`)).map((key) => key.split(":").at(-1));
      return void response.end(JSON.stringify({ name: repository, tags: tags.filter((tag) => tag?.length !== 64) }));
    }
    const manifest = manifests.get(`${repository}:${what}`);
    if (kind === "manifests" && manifest !== undefined) return sendManifest(request, response, manifest);
    const blob = owners.get(repository)?.has(what) === true ? blobs.get(what) : undefined;
    if (kind === "blobs" && blob !== undefined) return sendBlob(request, response, blob);
    refuse(response, 404, kind === "blobs" ? "BLOB_UNKNOWN" : "MANIFEST_UNKNOWN");
  };

  const server = tls === undefined ? http.createServer(answer) : https.createServer({ ...tls, requestCert: tls.ca !== undefined }, answer);
  server.keepAliveTimeout = 500;
  await new Promise<void>((resolve) => void server.listen(0, address, resolve));
  // A TCP server's address is one.
  const host = `${address}:${(server.address() as AddressInfo).port}`;

  return {
    host,
    requests,
    put(name, image, ...indexes) {
      const [repository = "", tag = "latest"] = name.split(":");
      const own = owners.get(repository) ?? new Set();
      owners.set(repository, own);
      for (const { digest, bytes } of [image.config, ...image.layers]) {
        blobs.set(digest, bytes);
        own.add(digest);
      }
      for (const document of [image.manifest, ...indexes]) {
        manifests.set(`${repository}:${document.digest}`, document);
        manifests.set(`${repository}:${tag}`, document);
      }
      return `${host}/${repository}:${tag}`;
    },
    script: (script) => void scripts.unshift(script),
    heal() {
      scripts = [];
      requests.length = 0;
    },
    manifest: (name) => manifests.get(name),
    uploads: uploads.begun,
    empty() {
      for (const store of [blobs, owners, manifests, uploads.begun]) store.clear();
    },
    blobRequests: (blob) => requests.filter(({ path }) => (blob === undefined ? path.includes("/blobs/") : path.endsWith(blob.digest))),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}

/** As registries refuse (distribution-spec, "Error codes"). */
export function refuse(response: ServerResponse, status: number, code: string, headers: Record<string, string> = {}): void {
  const message = code.toLowerCase().replaceAll("_", " ");
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify({ errors: [{ code, message }] }));
}

export function sendManifest(request: SeenRequest, response: ServerResponse, { mediaType, digest, bytes }: Document): void {
  response.writeHead(200, { "content-type": mediaType, "content-length": bytes.length, "docker-content-digest": digest });
  response.end(request.method === "HEAD" ? undefined : bytes);
}

/** A blob, or what a range asks of it. */
export function sendBlob(request: SeenRequest, response: ServerResponse, bytes: Buffer): void {
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  if (from >= bytes.length && from > 0) return refuse(response, 416, "RANGE_INVALID");
  const range: Record<string, string> = from > 0 ? { "content-range": `bytes ${from}-${bytes.length - 1}/${bytes.length}` } : {};
  response.writeHead(from > 0 ? 206 : 200, { "content-length": bytes.length - from, ...range });
  response.end(request.method === "HEAD" ? undefined : bytes.subarray(from));
}

/** Answers for one blob. */
export function onBlob(blob: Blob, answer: (request: SeenRequest, response: ServerResponse) => void): Script {
  return (request, response) => {
    if (!request.path.endsWith(blob.digest)) return false;
    answer(request, response);
    return true;
  };
}

/** Answers for every manifest. */
export function onManifest(answer: (request: SeenRequest, response: ServerResponse) => void): Script {
  return (request, response) => {
    if (!request.path.includes("/manifests/")) return false;
    answer(request, response);
    return true;
  };
}

/** Says that all of it comes, and ends the connection after some. */
export function breakOff(response: ServerResponse, whole: Blob, bytes: Buffer): void {
  response.writeHead(200, { "content-length": whole.bytes.length });
  response.write(bytes, () => response.destroy());
}
