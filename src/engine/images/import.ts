import { rm } from "node:fs/promises";

import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { formatTime, nowNs } from "../../base/time.ts";
import { writeChunks } from "../../base/write-chunks.ts";
import { addImage } from "./add-image.ts";
import { applyChanges } from "./config-changes.ts";
import type { ContainerDefaults } from "./image-config.ts";
import type { Image, ImportRequest, Pin, ProgressLine } from "./images.ts";
import type { ImageEngine } from "./open-images.ts";
import { hostPlatform, type Platform } from "./platform.ts";
import type { FetchProgress, FetchRequest } from "./registry/fetch-file.ts";
import { familiarReference, fullReference, parseReference, withDefaultTag, withTag } from "./reference.ts";

/** Makes an image of one layer from a root file system. The tar is put into a file first and unpacked by a child from there. */
export async function importImage(
  engine: ImageEngine,
  request: ImportRequest,
  progress: (line: ProgressLine) => void,
  signal?: AbortSignal,
): Promise<Image> {
  const reference = referenceOf(request);
  const platform = request.platform ?? hostPlatform();
  if (platform.os !== "linux") throw new EngineError("invalid", `operating system is not supported: ${platform.os}`);
  const defaults = applyChanges({}, request.changes);

  const archivePath = engine.blobs.temporaryPath();
  try {
    await receive(engine, request.tar, archivePath, progress, signal);
    failpoint("images.import.received");
    using pin = engine.pin();
    const diffId = await makeLayer(engine, archivePath, pin, signal);
    const configBytes = configOf(diffId, defaults, platform, request.message ?? "Imported from -");
    const references = reference === undefined ? [] : [fullReference(reference)];
    const record = await addImage(engine, { configBytes, manifests: [], references, isTagged: references.length > 0 });
    engine.announce("import", record.id, reference === undefined ? record.id : familiarReference(reference), record.config);
    progress({ status: record.id });
    return engine.store.image(record);
  } finally {
    await rm(archivePath, { force: true });
  }
}

async function receive(
  engine: ImageEngine,
  tar: ImportRequest["tar"],
  archivePath: string,
  progress: (line: ProgressLine) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (!(tar instanceof URL)) {
    // Not by a pipeline, which on a full disk would close the client's connection instead of telling it.
    return writeChunks(archivePath, tar, signal);
  }
  const { certificateFolders, stallTimeoutMs } = engine.registry;
  const tls = { host: tar.host, insecure: false, certificateFolders };
  const payload: FetchRequest = { url: tar.href, path: archivePath, tls, stallTimeoutMs };
  const shown = `${tar.origin}${tar.pathname}${tar.search}`;
  let isAnswered = false;
  const answered = (): void => {
    if (!isAnswered) progress({ status: `Downloading from ${shown}` });
    isAnswered = true;
  };
  const tell = (value: unknown): void => {
    answered();
    // What fetch-file.ts of the same build tells.
    const { current, total } = value as FetchProgress;
    progress({ status: "Importing", progressDetail: { current, ...(total === undefined ? {} : { total }) } });
  };
  await engine.children.run({ kind: "fetch", payload, what: `downloading ${shown}`, heavy: false, progress: tell }, signal);
  answered();
}

function referenceOf(request: ImportRequest): ReturnType<typeof parseReference> | undefined {
  if (request.repository === undefined || request.repository === "") return undefined;
  const name = parseReference(request.repository);
  if (name.digest !== undefined) throw new EngineError("invalid", "cannot import digest reference");
  return request.tag === undefined || request.tag === "" ? withDefaultTag(name) : withTag(name, request.tag);
}

async function makeLayer(engine: ImageEngine, archivePath: string, pin: Pin, signal?: AbortSignal): Promise<string> {
  const staged = await engine.layers.stage(undefined);
  try {
    const { diffId, bytes } = await staged.apply({ path: archivePath, what: "importing the archive" }, signal);
    failpoint("images.import.unpacked");
    pin.hold(diffId);
    await engine.layers.commit([{ staged, chainId: diffId, parent: undefined, diffId, bytes }]);
    return diffId;
  } finally {
    await staged.abort();
  }
}

/** Go's container.Config as Docker writes it into a config, with nothing set. */
const EMPTY_DEFAULTS = {
  Hostname: "",
  Domainname: "",
  User: "",
  AttachStdin: false,
  AttachStdout: false,
  AttachStderr: false,
  Tty: false,
  OpenStdin: false,
  StdinOnce: false,
  Env: null,
  Cmd: null,
  Image: "",
  Volumes: null,
  WorkingDir: "",
  Entrypoint: null,
  OnBuild: null,
  Labels: null,
};

/** Docker writes a config's members in alphabetical order. */
function configOf(diffId: string, defaults: ContainerDefaults, platform: Platform, comment: string): Buffer {
  const created = formatTime(nowNs());
  const config = {
    architecture: platform.architecture,
    comment,
    config: { ...EMPTY_DEFAULTS, ...defaults },
    created,
    history: [{ created, comment }],
    os: platform.os,
    rootfs: { type: "layers", diff_ids: [diffId] },
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
  };
  return Buffer.from(JSON.stringify(config));
}
