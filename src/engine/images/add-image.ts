import { EngineError } from "../../base/errors.ts";
import { failpoint } from "../../base/failpoint.ts";
import { nowNs } from "../../base/time.ts";
import { digestOf } from "../../store/blobs.ts";
import { parseImageConfig } from "./image-config.ts";
import { chainIdsOf, type ImageRecord } from "./image-store.ts";
import type { ImageEngine } from "./open-images.ts";

/**
 * The last step by which any image comes in, when its layers are committed: makes it known, with the names it gets; whoever had them loses them. Durable when it resolves. `isTagged`: here, and not by the
 * registry that it comes from, whose names Docker gives no time to.
 */
export async function addImage(
  engine: ImageEngine,
  image: { configBytes: Buffer; manifests: Buffer[]; references: string[]; isTagged: boolean; parent?: string | undefined },
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
    ...known,
    id,
    config,
    manifests: [...new Set([...(known?.manifests ?? []), ...manifests])],
    parent: image.parent ?? known?.parent,
    lastTaggedNs: image.isTagged ? String(nowNs()) : (known?.lastTaggedNs ?? "0"),
  };
  engine.store.change({ put: [record], refer: image.references.map((reference) => ({ reference, image: id })) });
  await engine.store.durable();
  failpoint("images.add.recorded");
  return record;
}
