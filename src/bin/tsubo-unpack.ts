import { serveJobs } from "../store/child/serve.ts";
import type { CloneRequest } from "../engine/build/context/clone-git.ts";
import type { CopyRequest as CopyFilesRequest } from "../engine/build/context/copy-files.ts";
import type { IndexRequest } from "../engine/build/context/index-archive.ts";
import type { SelectRequest } from "../engine/build/context/select.ts";
import { downloadBlob, type DownloadRequest } from "../engine/images/registry/download.ts";
import type { IndexImagesRequest } from "../engine/images/archives/index-archive.ts";
import { exchange, type ExchangeRequest } from "../engine/images/registry/exchange.ts";
import { fetchFile, type FetchRequest } from "../engine/images/registry/fetch-file.ts";
import { sendBlob, type SendRequest } from "../engine/images/registry/send-blob.ts";
import type { TreeRequest } from "../store/archive/job.ts";
import type { ReadArchiveRequest } from "../store/archive/read-archive.ts";
import type { WriteArchiveRequest } from "../store/archive/write-archive.ts";
import type { AdoptRequest } from "../store/unpack/adopt-folders.ts";
import type { CopyRequest } from "../store/pack/copy-tree.ts";
import type { ChangesRequest } from "../store/pack/list-changes.ts";
import type { FlattenRequest } from "../store/pack/flatten.ts";
import type { DeltaRequest } from "../store/pack/make-delta.ts";
import type { PackRequest } from "../store/pack/pack-job.ts";
import type { UnpackRequest } from "../store/unpack/unpack-layer.ts";

// The daemon's child for work on strangers' data; started by store/child/pool.ts, which is also who writes the payloads.
serveJobs({
  download: (payload, progress, signal) => downloadBlob(payload as DownloadRequest, progress, signal),
  exchange: (payload, _progress, signal) => exchange(payload as ExchangeRequest, signal),
  send: (payload, progress, signal) => sendBlob(payload as SendRequest, progress, signal),
  fetch: (payload, progress, signal) => fetchFile(payload as FetchRequest, progress, signal),
  // Loaded when it comes to that: it takes koffi and 40 ms, and downloads come first.
  unpack: async (payload, progress, signal) => {
    const { unpackLayer } = await import("../store/unpack/unpack-layer.ts");
    return unpackLayer(payload as UnpackRequest, progress, signal);
  },
  prepare: async (kind) => {
    if (kind === "pack") await import("../store/pack/pack-job.ts");
    else if (kind === "indexImages") await import("../engine/images/archives/index-archive.ts");
  },
  pack: async (payload, _progress, signal) => {
    const { packLayer } = await import("../store/pack/pack-job.ts");
    return packLayer(payload as PackRequest, signal);
  },
  copy: async (payload, _progress, signal) => {
    const { copyTree } = await import("../store/pack/copy-tree.ts");
    return copyTree(payload as CopyRequest, signal);
  },
  flatten: async (payload, _progress, signal) => {
    const { flatten } = await import("../store/pack/flatten.ts");
    return flatten(payload as FlattenRequest, signal);
  },
  delta: async (payload, _progress, signal) => {
    const { makeDelta } = await import("../store/pack/make-delta.ts");
    return makeDelta(payload as DeltaRequest, signal);
  },
  changes: async (payload, _progress, signal) => {
    const { listChanges } = await import("../store/pack/list-changes.ts");
    return listChanges(payload as ChangesRequest, signal);
  },
  indexContext: async (payload, _progress, signal) => {
    const { indexArchive } = await import("../engine/build/context/index-archive.ts");
    return indexArchive(payload as IndexRequest, signal);
  },
  readTexts: async (payload) => {
    const { readTexts } = await import("../engine/build/context/read-text.ts");
    return readTexts(payload as Parameters<typeof readTexts>[0]);
  },
  cloneGit: async (payload, _progress, signal) => {
    const { cloneGit } = await import("../engine/build/context/clone-git.ts");
    return cloneGit(payload as CloneRequest, signal);
  },
  selectFiles: async (payload) => {
    const { select } = await import("../engine/build/context/select.ts");
    return select(payload as SelectRequest);
  },
  copyFiles: async (payload, _progress, signal) => {
    const { copyFiles } = await import("../engine/build/context/copy-files.ts");
    return copyFiles(payload as CopyFilesRequest, signal);
  },
  indexImages: async (payload, _progress, signal) => {
    const { indexImages } = await import("../engine/images/archives/index-archive.ts");
    return indexImages(payload as IndexImagesRequest, signal);
  },
  statPath: async (payload) => {
    const { statInTree } = await import("../store/archive/read-archive.ts");
    return statInTree(payload as TreeRequest);
  },
  readArchive: async (payload, progress, signal) => {
    const { readArchive } = await import("../store/archive/read-archive.ts");
    return readArchive(payload as ReadArchiveRequest, progress, signal);
  },
  writeArchive: async (payload, progress, signal) => {
    const { writeArchive } = await import("../store/archive/write-archive.ts");
    return writeArchive(payload as WriteArchiveRequest, progress, signal);
  },
  adopt: async (payload) => {
    const { adoptFolders } = await import("../store/unpack/adopt-folders.ts");
    adoptFolders(payload as AdoptRequest);
  },
});
