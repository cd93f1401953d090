import { EngineError } from "../../base/errors.ts";
import type { ImageRecord, ImageStore } from "./image-store.ts";
import { platformMismatch, type Platform } from "./platform.ts";
import { familiarReference, fullReference, isDigest, isIdentifier, parseReference, withDefaultTag, type Reference } from "./reference.ts";

/** Finds an image by reference, id, or unambiguous beginning of its id, in Docker's order: what reads as a reference is one first. */
export function findRecord(store: ImageStore, nameOrId: string): ImageRecord | undefined {
  if (isIdentifier(nameOrId)) return store.record(`sha256:${nameOrId}`);
  if (isDigest(nameOrId)) return store.record(nameOrId);
  const reference = referenceOf(nameOrId);
  const named = reference && store.byReference(lookupKey(reference));
  if (named !== undefined) return store.record(named);
  const [id, another] = store.byIdPrefix(nameOrId);
  return id === undefined || another !== undefined ? undefined : store.record(id);
}

/** The same, with Docker's error when there is none. */
export function getRecord(store: ImageStore, nameOrId: string): ImageRecord {
  const record = findRecord(store, nameOrId);
  if (record === undefined) throw new EngineError("notFound", `No such image: ${shownName(nameOrId)}`);
  return record;
}

/** The same; it must be for the platform, where one is asked for. */
export function getRecordFor(store: ImageStore, nameOrId: string, platform: Platform | undefined): ImageRecord {
  const record = getRecord(store, nameOrId);
  const mismatch = platform && platformMismatch(record.config, nameOrId, platform);
  if (mismatch !== undefined) throw new EngineError("notFound", mismatch);
  return record;
}

/** With both tag and digest, the digest decides. */
export function lookupKey(reference: Reference): string {
  return fullReference(reference.digest === undefined ? withDefaultTag(reference) : { ...reference, tag: undefined });
}

function shownName(nameOrId: string): string {
  if (isIdentifier(nameOrId)) return `sha256:${nameOrId}`;
  if (isDigest(nameOrId)) return nameOrId;
  // What cannot be a reference is refused, not missed.
  return familiarReference(withDefaultTag(parseReference(nameOrId)));
}

function referenceOf(text: string): Reference | undefined {
  try {
    return parseReference(text);
  } catch (error) {
    if (error instanceof EngineError) return undefined;
    throw error;
  }
}
