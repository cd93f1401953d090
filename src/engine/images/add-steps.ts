import { EngineError } from "../../base/errors.ts";
import { digestOf } from "../../store/blobs.ts";
import { parseImageConfig } from "./image-config.ts";
import { chainIdsOf, type ImageRecord } from "./image-store.ts";
import type { StepImage } from "./images.ts";
import type { ImageEngine } from "./open-images.ts";

/** Makes what a build's steps produced known as images, each with the one it was made from as its parent. */
export async function addSteps(engine: ImageEngine, steps: StepImage[]): Promise<void> {
  using pin = engine.pin();
  const records = await Promise.all(
    steps.map(async ({ configBytes, parent, key }): Promise<ImageRecord> => {
      const config = parseImageConfig(configBytes);
      const missing = chainIdsOf(config.rootfs.diff_ids).find((chainId) => !engine.layers.has(chainId));
      if (missing !== undefined) throw new EngineError("system", `keeping a build's step: its layer ${missing} is not in the store`);
      pin.hold(digestOf(configBytes));
      const id = await engine.blobs.write(configBytes);
      const known = engine.store.record(id);
      return known ?? { id, config, manifests: [], parent, lastTaggedNs: "0", stepKey: key };
    }),
  );
  engine.store.change({ put: records });
  await engine.store.durable();
}
