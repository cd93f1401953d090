import { containerConfig } from "../../api/container-config.ts";
import { optional } from "../../api/decode.ts";
import { EngineError } from "../../base/errors.ts";
import type { Containers } from "../../engine/containers/containers.ts";
import {
  familiarReference,
  fullReference,
  parseReference,
  withDefaultTag,
  withTag,
  type Reference,
} from "../../engine/images/reference.ts";
import { type Answer, type Call, json, type Route } from "../call.ts";
import { pathStatHeaders } from "../path-stat.ts";

/** What containers have written: told, given away, made an image of. */
export function containerFileRoutes(containers: Containers): Route[] {
  return [
    {
      method: "GET",
      path: "/containers/{name:.*}/changes",
      operation: "ContainerChanges",
      async handle({ name, signal }) {
        const changes = await containers.changes(name, signal);
        return json(changes.length === 0 ? null : changes.map(({ path, kind }) => ({ Path: path, Kind: CHANGE_KINDS[kind] })));
      },
    },
    {
      method: "GET",
      path: "/containers/{name:.*}/export",
      operation: "ContainerExport",
      handle: ({ name, signal }) => ({
        kind: "stream",
        contentType: "application/octet-stream",
        async write(output) {
          for await (const piece of await containers.export(name, signal)) await output.write(piece);
        },
      }),
    },
    { method: "HEAD", path: ARCHIVE, operation: "ContainerArchiveInfo", handle: (call) => statPath(containers, call) },
    { method: "GET", path: ARCHIVE, operation: "ContainerArchive", handle: (call) => readArchive(containers, call) },
    { method: "PUT", path: ARCHIVE, operation: "PutContainerArchive", handle: (call) => writeArchive(containers, call) },
    { method: "POST", path: "/commit", operation: "ImageCommit", handle: (call) => commit(containers, call) },
  ];
}

const ARCHIVE = "/containers/{name:.*}/archive";

async function statPath(containers: Containers, call: Call): Promise<Answer> {
  const stat = await containers.statPath(call.name, pathOf(call), call.signal);
  return { kind: "empty", status: 200, headers: pathStatHeaders(stat) };
}

async function readArchive(containers: Containers, call: Call): Promise<Answer> {
  const { stat, pieces } = await containers.readArchive(call.name, pathOf(call), call.signal);
  return {
    kind: "stream",
    contentType: "application/x-tar",
    headers: pathStatHeaders(stat),
    async write(output) {
      for await (const piece of pieces) await output.write(piece);
    },
  };
}

async function writeArchive(containers: Containers, call: Call): Promise<Answer> {
  const { name, query, body, signal } = call;
  const target = { path: pathOf(call), keepKinds: query.flag("noOverwriteDirNonDir"), ownedByUser: query.flag("copyUIDGID") };
  await containers.writeArchive(name, target, body.stream(), signal);
  return { kind: "empty", status: 200 };
}

function pathOf({ query }: Call): string {
  const path = query.text("path");
  // The blank is missing in Docker's words, too.
  if (path === undefined || path === "") throw new EngineError("invalid", "bad parameter: pathcannot be empty");
  return path;
}

const CHANGE_KINDS = { modified: 0, added: 1, deleted: 2 };

async function commit(containers: Containers, { query, body, signal }: Call): Promise<Answer> {
  const repository = query.text("repo");
  const reference = repository === undefined ? undefined : referenceOf(repository, query.text("tag"));
  const config = body.lengthBytes === 0 ? undefined : await body.json(optional(containerConfig));
  const request = {
    author: query.text("author") ?? "",
    comment: query.text("comment") ?? "",
    changes: query.all("changes"),
    pause: query.flag("pause", true),
    config,
    reference: reference && fullReference(reference),
    shownReference: reference === undefined ? "" : familiarReference(reference),
  };
  return json({ Id: await containers.commit(query.text("container") ?? "", request, signal) }, 201);
}

function referenceOf(repository: string, tag: string | undefined): Reference {
  const reference = parseReference(repository);
  if (reference.digest !== undefined) throw new EngineError("invalid", "cannot import digest reference");
  return tag === undefined ? withDefaultTag(reference) : withTag(reference, tag);
}
