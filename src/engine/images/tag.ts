import { nowNs } from "../../base/time.ts";
import { getRecord } from "./find.ts";
import type { ImageEngine } from "./open-images.ts";
import { familiarReference, fullReference, parseReference, withDefaultTag, withTag } from "./reference.ts";

/** Gives an image one more name; a name that another image had moves. */
export async function tagImage(engine: ImageEngine, nameOrId: string, repository: string, tag: string): Promise<void> {
  const record = getRecord(engine.store, nameOrId);
  const name = parseReference(repository);
  const reference = withDefaultTag(tag === "" ? { ...name, digest: undefined } : withTag(name, tag));
  engine.store.change({
    put: [{ ...record, lastTaggedNs: String(nowNs()) }],
    refer: [{ reference: fullReference(reference), image: record.id }],
  });
  await engine.store.durable();
  engine.announce("tag", record.id, familiarReference(reference), record.config);
}
