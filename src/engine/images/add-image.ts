import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { nowNs } from "../../base/time.ts";
import { digestOf } from "../../store/blobs.ts";
import type { StagedLayer } from "../../store/layers.ts";
import type { AdoptRequest } from "../../store/unpack/adopt-folders.ts";
import type { UnpackRequest, UnpackResult } from "../../store/unpack/unpack-layer.ts";
import { parseImageConfig } from "./image-config.ts";
import { chainIdsOf, type ImageRecord } from "./image-store.ts";
import type { ImageEngine } from "./open-images.ts";

/** The steps by which any image comes in: unpack layers into staged folders, commit them, put the record and its names. */

/** Unpacks an archive into a staged layer, in a child. */
export async function unpackInto(
  engine: Pick<ImageEngine, "children">,
  staged: StagedLayer,
  archive: { path: string; what: string; progress?: (archiveBytes: number) => void },
  signal?: AbortSignal,
): Promise<UnpackResult> {
  const payload: UnpackRequest = { archivePath: archive.path, folder: staged.folder };
  const progress = (value: unknown): void => archive.progress?.(Number(value));
  const result = await engine.children.run({ kind: "unpack", payload, what: archive.what, heavy: true, progress }, signal);
  // What unpackLayer of the same build gives back.
  return result as UnpackResult;
}

/** Gives folders that a layer only implies the owners, modes and times that they have in the layers below. */
export async function adoptFolders(
  engine: Pick<ImageEngine, "children">,
  staged: StagedLayer,
  implied: string[],
  signal?: AbortSignal,
): Promise<void> {
  if (implied.length === 0 || staged.below.length === 0) return;
  const payload: AdoptRequest = { folder: staged.folder, below: staged.below, names: implied };
  await engine.children.run({ kind: "adopt", payload, what: "completing the layer", heavy: false }, signal);
}

/**
 * Makes an image known, with the names it gets; whoever had them loses them. Durable when it resolves. `isTagged`: here, and not by the
 * registry that it comes from, whose names Docker gives no time to.
 */
export async function addImage(
  engine: ImageEngine,
  image: { configBytes: Buffer; manifests: Buffer[]; references: string[]; isTagged: boolean },
): Promise<ImageRecord> {
  const config = parseImageConfig(image.configBytes);
  const missing = chainIdsOf(config.rootfs.diff_ids).find((chainId) => !engine.layers.has(chainId));
  if (missing !== undefined) throw new EngineError("system", `making an image: its layer ${missing} is not in the store`);
  using pin = engine.pin();
  for (const bytes of [image.configBytes, ...image.manifests]) pin.hold(digestOf(bytes));
  const id = await engine.blobs.write(image.configBytes);
  const manifests = await Promise.all(image.manifests.map((bytes) => engine.blobs.write(bytes)));
  failpoint("images.add.blobs");
  const known = engine.store.record(id);
  const record: ImageRecord = {
    id,
    config,
    manifests: [...new Set([...(known?.manifests ?? []), ...manifests])],
    parent: known?.parent,
    lastTaggedNs: image.isTagged ? String(nowNs()) : (known?.lastTaggedNs ?? "0"),
  };
  engine.store.change({ put: [record], refer: image.references.map((reference) => ({ reference, image: id })) });
  await engine.store.durable();
  failpoint("images.add.recorded");
  return record;
}
