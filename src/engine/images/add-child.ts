import type { FinishedLayer } from "../../store/layers.ts";
import { addImage } from "./add-image.ts";
import type { ImageRecord } from "./image-store.ts";
import type { ImageEngine } from "./open-images.ts";
import { familiarReference, fullReference, parseReference } from "./reference.ts";

export interface ChildImage {
  configBytes: Buffer;
  /** The image it was made from; undefined for one that stands alone. */
  parent: string | undefined;
  /** The uppermost layer, which is not committed yet; undefined when it has none of its own. */
  layer: FinishedLayer | undefined;
  /** Full form. */
  reference: string | undefined;
}

/** Makes an image known that was made here from another, with its layer and its name. Durable when it resolves. */
export async function addChild(engine: ImageEngine, child: ChildImage): Promise<ImageRecord> {
  const { configBytes, parent, layer, reference } = child;
  using pin = engine.pin();
  if (layer !== undefined) {
    pin.hold(layer.chainId);
    await engine.layers.commit([layer]);
  }
  const references = reference === undefined ? [] : [fullReference(parseReference(reference))];
  const record = await addImage(engine, { configBytes, manifests: [], references, isTagged: references.length > 0, parent });
  if (reference !== undefined) engine.announce("tag", record.id, familiarReference(parseReference(reference)), record.config);
  return record;
}
