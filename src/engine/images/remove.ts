import { EngineError } from "../../base/errors.ts";
import { shortId } from "../../base/ids.ts";
import { getRecord } from "./find.ts";
import { chainIdsOf, type ImageRecord } from "./image-store.ts";
import { blobsInUse, forgetMissingLayers, layersInUse, type ImageEngine } from "./open-images.ts";
import { familiarReference, fullName, fullReference, parseReference, withDefaultTag, type Reference } from "./reference.ts";

export type RemovedItem = { Untagged: string } | { Deleted: string };

/**
 * Removes an image, or one of its names, by Docker's rules (moby 28, daemon/images/image_delete.go). A name goes first; with the last name
 * of a repository go its digests, and with the last name of all the image itself. An id names the image: it must be forced when several
 * repositories name it, or a stopped container uses it; a running container or a child image cannot be forced.
 */
export async function removeImage(
  engine: ImageEngine,
  nameOrId: string,
  options: { force: boolean; noPrune: boolean },
): Promise<RemovedItem[]> {
  const record = getRecord(engine.store, nameOrId);
  const removed: RemovedItem[] = [];
  const isId = record.id.startsWith(nameOrId) || record.id.slice("sha256:".length).startsWith(nameOrId);
  const isOneRepository = isSingleReference(engine.store.referencesOf(record.id));
  if (isId) {
    if (isOneRepository) {
      throwConflict(record.id, findConflict(engine, record.id, { force: options.force, ignoreReferences: true }));
      untag(engine, record, engine.store.referencesOf(record.id), removed);
    }
    await deleteImage(engine, record, { ...options, quiet: false }, removed);
    return removed;
  }
  const [user] = engine.usersOf(record.id);
  if (!options.force && isOneRepository && user !== undefined) {
    throw new EngineError(
      "conflict",
      `conflict: unable to remove repository reference "${nameOrId}" (must force) - container ${shortId(user.id)} is using its referenced image ${shortId(record.id)}`,
    );
  }
  untag(engine, record, namesToRemove(engine.store.referencesOf(record.id), parseReference(nameOrId)), removed);
  if (engine.store.referencesOf(record.id).length > 0) await engine.store.durable();
  else await deleteImage(engine, record, { ...options, quiet: true }, removed);
  return removed;
}

/** The name asked for, and, when it was the repository's last tag, the repository's digests too. */
function namesToRemove(references: Reference[], asked: Reference): Reference[] {
  const key = fullReference(asked.digest === undefined ? withDefaultTag(asked) : { ...asked, tag: undefined });
  const named = references.filter((reference) => fullReference(reference) === key);
  const others = references.filter((reference) => fullReference(reference) !== key && fullName(reference) === fullName(asked));
  const hasOtherTag = others.some((reference) => reference.digest === undefined);
  return asked.digest !== undefined || hasOtherTag ? named : [...named, ...others];
}

function untag(engine: ImageEngine, record: ImageRecord, references: Reference[], removed: RemovedItem[]): void {
  engine.store.change({ unrefer: references.map(fullReference) });
  for (const reference of references) {
    removed.push({ Untagged: familiarReference(reference) });
    engine.announce("untag", record.id, record.id, record.config);
  }
}

async function deleteImage(
  engine: ImageEngine,
  record: ImageRecord,
  options: { force: boolean; noPrune: boolean; quiet: boolean },
  removed: RemovedItem[],
): Promise<void> {
  const conflict = findConflict(engine, record.id, { force: options.force, ignoreReferences: false });
  if (conflict !== undefined) {
    const isDangling = engine.store.referencesOf(record.id).length === 0 && engine.store.children(record.id).length === 0;
    if (!options.quiet || (isDangling && !conflict.isUsed)) throwConflict(record.id, conflict);
    await engine.store.durable();
    return;
  }
  untag(engine, record, engine.store.referencesOf(record.id), removed);
  engine.store.change({ forget: [record.id] });
  engine.announce("delete", record.id, record.id, record.config);
  removed.push({ Deleted: record.id });

  const inUse = layersInUse(engine);
  const unneeded = chainIdsOf(record.config.rootfs.diff_ids).filter((chainId) => !inUse.has(chainId));
  // Topmost first, as no layer goes before those above it.
  for (const chainId of await engine.layers.remove(unneeded.toReversed())) removed.push({ Deleted: chainId });
  await forgetMissingLayers(engine);
  for (const digest of [record.id, ...record.manifests]) await engine.blobs.remove(digest, () => blobsInUse(engine).has(digest));

  const parent = record.parent === undefined ? undefined : engine.store.record(record.parent);
  if (!options.noPrune && parent !== undefined) {
    await deleteImage(engine, parent, { force: false, noPrune: false, quiet: true }, removed);
  }
}

interface Conflict {
  isHard: boolean;
  /** By a container. */
  isUsed: boolean;
  why: string;
}

function findConflict(engine: ImageEngine, id: string, options: { force: boolean; ignoreReferences: boolean }): Conflict | undefined {
  if (engine.store.children(id).length > 0) return { isHard: true, isUsed: false, why: "image has dependent child images" };
  const users = engine.usersOf(id);
  const running = users.find((user) => user.running);
  if (running !== undefined) {
    return { isHard: true, isUsed: true, why: `image is being used by running container ${shortId(running.id)}` };
  }
  if (options.force) return undefined;
  if (!options.ignoreReferences && engine.store.referencesOf(id).length > 0) {
    return { isHard: false, isUsed: false, why: "image is referenced in multiple repositories" };
  }
  const [stopped] = users;
  return stopped && { isHard: false, isUsed: true, why: `image is being used by stopped container ${shortId(stopped.id)}` };
}

function throwConflict(id: string, conflict: Conflict | undefined): void {
  if (conflict === undefined) return;
  const force = conflict.isHard ? "cannot be forced" : "must be forced";
  throw new EngineError("conflict", `conflict: unable to delete ${shortId(id)} (${force}) - ${conflict.why}`);
}

/** All names of an image are of one repository, with at most one tag. */
function isSingleReference(references: Reference[]): boolean {
  if (references.length <= 1) return references.length === 1;
  const tagged = references.filter((reference) => reference.digest === undefined);
  const digested = new Set(references.filter((reference) => reference.digest !== undefined).map(fullName));
  const single = tagged[0] ?? references[0];
  return tagged.length <= 1 && digested.size === 1 && single !== undefined && digested.has(fullName(single));
}
