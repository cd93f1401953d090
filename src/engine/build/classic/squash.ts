import { parseJson } from "../../../api/json.ts";
import { formatTime, nowNs } from "../../../base/time.ts";
import type { FinishedLayer } from "../../../store/layers.ts";
import type { PackRequest } from "../../../store/pack/pack-job.ts";
import { encodeConfig } from "../../images/child-image.ts";
import type { HistoryEntry } from "../../images/image-config.ts";
import { chainIdOf } from "../../images/image-store.ts";
import type { Image } from "../../images/images.ts";
import type { BuildRun } from "../graph/build-run.ts";

/**
 * `--squash`: a further image like the one that was built, with one layer in place of those above the base (none: of all), as moby makes it
 * (daemon/images/image_squash.go). The one that was built stays in the cache. The id of the new one.
 */
export async function squash(run: BuildRun, imageId: string, baseId: string): Promise<string> {
  const { images } = run.engine;
  const image = images.get(imageId);
  const base = baseId === "" ? undefined : images.get(baseId);
  const layer = image.chainId === base?.chainId ? undefined : await mergeLayers(run, image, base);
  const configBytes = squashedConfig(await images.readBlob(image.id), image, base, layer?.diffId);
  const made = await images.addChild({ configBytes, parent: undefined, layer, reference: undefined });
  return made.id;
}

/** What the image has beyond the base, as one layer on top of that. */
async function mergeLayers(run: BuildRun, image: Image, base: Image | undefined): Promise<FinishedLayer> {
  const target = run.filePath();
  {
    await using mounted = new AsyncDisposableStack();
    const payload: PackRequest = {
      folder: await run.openReadOnly(image.chainId, mounted),
      since: base?.chainId === undefined ? undefined : await run.openReadOnly(base.chainId, mounted),
      options: { isUpper: false },
      target,
    };
    await run.child("pack", payload, "merging layers");
  }
  const parent = base?.chainId;
  const staged = await run.stage(parent);
  const content = await staged.apply({ path: target, what: "unpacking the merged layer" }, run.signal);
  await staged.complete(run.signal);
  await run.discard(target);
  return { ...content, staged, parent, chainId: chainIdOf(parent, content.diffId) };
}

function squashedConfig(bytes: Buffer, image: Image, base: Image | undefined, diffId: string | undefined): Buffer {
  const created = formatTime(nowNs());
  const history = (image.config.history ?? []).map((entry, index): HistoryEntry =>
    index < (base?.config.history?.length ?? 0) ? entry : { ...entry, empty_layer: true },
  );
  const comment = base === undefined ? `create new from ${image.id}` : `merge ${image.id} to ${base.id}`;
  const members = {
    // A config that a step of ours has made.
    ...(parseJson(bytes.toString("utf8")) as Record<string, unknown>),
    created,
    history: [...history, { created, comment, ...(diffId === undefined ? { empty_layer: true } : {}) }],
    rootfs: { type: "layers", diff_ids: [...(base?.config.rootfs.diff_ids ?? []), ...(diffId === undefined ? [] : [diffId])] },
  };
  return encodeConfig(members);
}
