import { randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";

import { digestOf, type Document } from "./image.ts";
import { refuse, type SeenRequest } from "./registry.ts";

/** The half of a registry that takes blobs and manifests (distribution-spec, "Push"), as distribution 2.8 does. */
export interface Uploads {
  /** False: not its business. */
  serve(request: SeenRequest, response: ServerResponse): boolean;
  /** What has come of an upload, by its path. */
  readonly begun: Map<string, Buffer>;
}

/** Blobs are one store for all repositories; `owners` tells who has which. */
export function openUploads(blobs: Map<string, Buffer>, owners: Map<string, Set<string>>, manifests: Map<string, Document>): Uploads {
  const begun = new Map<string, Buffer>();

  const begin = (repository: string, query: URLSearchParams, response: ServerResponse): void => {
    const [digest, from] = [query.get("mount") ?? "", query.get("from") ?? ""];
    if (owners.get(from)?.has(digest) === true) {
      own(owners, repository, digest);
      return void response.writeHead(201, { location: `/v2/${repository}/blobs/${digest}`, "docker-content-digest": digest }).end();
    }
    const path = `/v2/${repository}/blobs/uploads/${randomBytes(8).toString("hex")}`;
    begun.set(path, Buffer.alloc(0));
    accepted(response, path, begun.get(path));
  };
  const take = async (request: SeenRequest, path: string, response: ServerResponse): Promise<void> => {
    for await (const piece of request.incoming) {
      // Without an encoding a request gives Buffers.
      begun.set(path, Buffer.concat([begun.get(path) ?? Buffer.alloc(0), piece as Buffer]));
    }
    accepted(response, path, begun.get(path));
  };
  const finish = (repository: string, path: string, digest: string, response: ServerResponse): void => {
    const bytes = begun.get(path) ?? Buffer.alloc(0);
    if (digestOf(bytes) !== digest) return refuse(response, 400, "DIGEST_INVALID");
    begun.delete(path);
    blobs.set(digest, bytes);
    own(owners, repository, digest);
    response.writeHead(201, { location: `/v2/${repository}/blobs/${digest}`, "docker-content-digest": digest }).end();
  };
  const putManifest = async (request: SeenRequest, repository: string, tag: string, response: ServerResponse): Promise<void> => {
    const pieces: Buffer[] = [];
    for await (const piece of request.incoming) pieces.push(piece as Buffer);
    const bytes = Buffer.concat(pieces);
    const digest = digestOf(bytes);
    const document = { mediaType: request.headers["content-type"] ?? "", digest, bytes };
    for (const name of [tag, digest]) manifests.set(`${repository}:${name}`, document);
    response.writeHead(201, { "docker-content-digest": digest }).end();
  };

  return {
    begun,
    serve(request, response) {
      const { pathname, searchParams } = new URL(request.path, "http://registry");
      const [, repository = "", what = "", rest = ""] = /^\/v2\/(.+)\/(blobs\/uploads|manifests)\/(.*)$/.exec(pathname) ?? [];
      if (what === "manifests" && request.method === "PUT") void putManifest(request, repository, rest, response);
      else if (what !== "blobs/uploads") return false;
      else if (request.method === "POST") begin(repository, searchParams, response);
      else if (!begun.has(pathname)) refuse(response, 404, "BLOB_UPLOAD_UNKNOWN");
      else if (request.method === "PATCH") take(request, pathname, response).catch(() => response.destroy());
      else if (request.method === "PUT") finish(repository, pathname, searchParams.get("digest") ?? "", response);
      else if (request.method === "GET") status(response, pathname, begun.get(pathname));
      else {
        begun.delete(pathname);
        response.writeHead(204).end();
      }
      return true;
    },
  };
}

function own(owners: Map<string, Set<string>>, repository: string, digest: string): void {
  owners.set(repository, (owners.get(repository) ?? new Set()).add(digest));
}

function rangeOf(bytes: Buffer | undefined): string {
  return `0-${Math.max(0, (bytes?.length ?? 0) - 1)}`;
}

function accepted(response: ServerResponse, location: string, bytes: Buffer | undefined): void {
  response.writeHead(202, { location, range: rangeOf(bytes) }).end();
}

function status(response: ServerResponse, location: string, bytes: Buffer | undefined): void {
  response.writeHead(204, { location, range: rangeOf(bytes) }).end();
}
