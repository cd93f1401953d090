import { setTimeout as sleep } from "node:timers/promises";

import { EngineError } from "../../../base/errors.ts";
import { ChildDiedError, type ChildPool } from "../../../store/child/pool.ts";
import type { RegistrySettings } from "../open-images.ts";
import type { ExchangeResponse } from "./exchange.ts";
import { followed } from "./redirect.ts";
import { errorCodeOf, pushError } from "./registry-errors.ts";
import { isNetworkFailure, type RegistrySession } from "./registry-session.ts";
import type { SendAnswer, SendRequest } from "./send-blob.ts";

/**
 * Blobs on their way to a registry (distribution-spec, "Pushing blobs in chunks"): an upload is begun with POST, which answers where it
 * goes, takes the bytes by PATCH, and ends with a PUT that names the digest. An upload that breaks off is asked how far it came and goes on
 * from there; where the registry knows nothing of it any more, a new one begins.
 */
export interface BlobToSend {
  digest: string;
  sizeBytes: number;
  /** The file that holds it. */
  path: string;
}

/** An upload under way. */
export interface Upload {
  url: string;
  /** Bytes that the registry has. */
  offset: number;
  /** A request of it failed: how far it came is not known. */
  isDoubtful: boolean;
}

export interface UploadContext {
  session: RegistrySession;
  children: ChildPool;
  settings: RegistrySettings;
}

export interface TellUpload {
  bytes: (bytes: number) => void;
  retry: (pauseMs: number) => void;
}

/** As Docker. */
const MAX_ATTEMPTS = 5;

/** Size of a blob that the repository has; undefined when it has none, or does not say. */
export async function blobSize(session: RegistrySession, digest: string, signal: AbortSignal): Promise<number | undefined> {
  try {
    const response = await session.ask({ method: "HEAD", url: `/blobs/${digest}` }, signal);
    const length = Number(response.headers["content-length"]);
    return response.status === 200 && Number.isSafeInteger(length) ? length : undefined;
  } catch (error) {
    signal.throwIfAborted();
    // What it would have told, the upload that follows tells better.
    if (error instanceof Error) return undefined;
    throw error;
  }
}

/** Takes a blob over from another repository of the registry; where that cannot be, the upload that the registry began instead. */
export async function mountBlob(session: RegistrySession, digest: string, from: string, signal: AbortSignal): Promise<"mounted" | Upload> {
  const query = new URLSearchParams({ mount: digest, from });
  const response = await session.ask({ method: "POST", url: `/blobs/uploads/?${query.toString()}`, alsoFrom: from }, signal);
  return response.status === 201 ? "mounted" : uploadOf(response);
}

/** Lets a registry forget an upload; it would do so by itself some day. */
export async function cancelUpload(session: RegistrySession, upload: Upload, signal: AbortSignal): Promise<void> {
  await session.ask({ method: "DELETE", url: upload.url }, signal).catch(() => undefined);
}

/** Begins an upload, when the registry is well: undefined when another attempt may do better. It tells early whom it lets in. */
export async function tryBeginUpload(session: RegistrySession, signal: AbortSignal): Promise<Upload | undefined> {
  try {
    return await beginUpload(session, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (isWorthAnother(error)) return undefined;
    throw error;
  }
}

/** Sends a blob, trying again where that may help. `begun`: an upload for it that is there already. */
export async function uploadBlob(
  context: UploadContext,
  blob: BlobToSend,
  begun: Upload | undefined,
  tell: TellUpload,
  signal: AbortSignal,
): Promise<void> {
  let upload = begun;
  for (let tries = 1, pauseMs = context.settings.retryDelayMs; ; tries += 1, pauseMs *= 2) {
    try {
      if (upload?.isDoubtful === true) {
        upload = await progressOf(context.session, upload, signal);
        // Its last answer was lost, perhaps, and all is done.
        if (upload === undefined && (await blobSize(context.session, blob.digest, signal)) !== undefined) return;
      }
      upload ??= await beginUpload(context.session, signal);
      await sendRest(context, blob, upload, tell, signal);
      await finishUpload(context.session, blob, upload, signal);
      return;
    } catch (error) {
      signal.throwIfAborted();
      if (tries === MAX_ATTEMPTS || !isWorthAnother(error)) throw error;
      if (error instanceof LostUploadError) upload = undefined;
      else if (upload !== undefined) upload.isDoubtful = true;
    }
    tell.retry(pauseMs);
    await sleep(pauseMs, undefined, { signal });
  }
}

/** The registry says that what it has of an upload is of no use. */
class LostUploadError extends EngineError {}

/** What the registry got is not what the digest says; the file may be damaged. */
export class DigestRefusedError extends EngineError {}

/** The registry is in trouble and may be better soon. */
class UnwellError extends EngineError {}

function isWorthAnother(error: unknown): boolean {
  const isPassing = error instanceof LostUploadError || error instanceof UnwellError || error instanceof ChildDiedError;
  return isPassing || isNetworkFailure(error);
}

/**
 * Sends a file that is still being written, to its end. Whatever goes wrong is left to `uploadBlob`, which finds in the upload how far it
 * came, or that this is not known.
 */
export async function sendGrowing(
  { session, children, settings }: UploadContext,
  path: string,
  upload: Upload,
  tell: TellUpload,
  signal: AbortSignal,
): Promise<void> {
  upload.isDoubtful = true;
  const target = session.requestTo(upload.url);
  const payload: SendRequest = { ...target, path, sizeBytes: undefined, offset: 0, stallTimeoutMs: settings.stallTimeoutMs };
  const progress = (bytes: unknown): void => tell.bytes(Number(bytes));
  try {
    const answer = await runSend(children, payload, progress, signal);
    if (answer.status !== 202) return;
    Object.assign(upload, { offset: offsetOf(answer) ?? answer.sentBytes, url: placeOf(answer), isDoubtful: false });
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
}

async function runSend(
  children: ChildPool,
  payload: SendRequest,
  progress: (value: unknown) => void,
  signal: AbortSignal,
): Promise<ExchangeResponse & { sentBytes: number }> {
  // What send-blob.ts of the same build answers.
  const answer = (await children.run({ kind: "send", payload, what: "uploading a layer", heavy: false, progress }, signal)) as SendAnswer;
  return { ...answer, body: Buffer.from(answer.body, "base64") };
}

async function beginUpload(session: RegistrySession, signal: AbortSignal): Promise<Upload> {
  return uploadOf(await session.ask({ method: "POST", url: "/blobs/uploads/" }, signal));
}

function uploadOf(response: ExchangeResponse): Upload {
  if (response.status !== 202) throw refusal(response);
  return { url: placeOf(response), offset: 0, isDoubtful: false };
}

/** Where the next request of an upload goes; every answer may say it anew. */
function placeOf({ url, headers }: ExchangeResponse): string {
  const { location } = headers;
  if (location === undefined) throw new EngineError("system", `the registry ${new URL(url).host} does not say where an upload goes`);
  return followed(location, url);
}

/** How far an upload came; undefined when the registry does not know it, or nothing has come. */
async function progressOf(session: RegistrySession, upload: Upload, signal: AbortSignal): Promise<Upload | undefined> {
  const response = await session.ask({ method: "GET", url: upload.url }, signal);
  const offset = offsetOf(response);
  if (response.status !== 204 || offset === undefined) return undefined;
  return { url: response.headers["location"] === undefined ? upload.url : placeOf(response), offset, isDoubtful: false };
}

/** From `Range: 0-99`, of which the last is the last byte that it has; undefined when it says nothing, or that is no more than a byte. */
function offsetOf({ headers }: ExchangeResponse): number | undefined {
  const last = Number(/^(?:bytes=)?0-(\d{1,15})$/.exec(headers["range"] ?? "")?.[1] ?? 0);
  return last === 0 ? undefined : last + 1;
}

async function sendRest(context: UploadContext, blob: BlobToSend, upload: Upload, tell: TellUpload, signal: AbortSignal): Promise<void> {
  if (upload.offset > blob.sizeBytes) throw new LostUploadError("system", `uploading ${blob.digest}: the registry has more than was sent`);
  while (upload.offset < blob.sizeBytes) {
    const response = await patch(context, blob, upload, tell, signal);
    if (response.status !== 202) throw refusal(response);
    const offset = offsetOf(response) ?? blob.sizeBytes;
    if (offset <= upload.offset || offset > blob.sizeBytes)
      throw new LostUploadError("system", `uploading ${blob.digest}: the registry has ${offset} bytes of ${blob.sizeBytes}`);
    Object.assign(upload, { offset, url: placeOf(response) });
  }
}

async function patch(
  { session, children, settings }: UploadContext,
  blob: BlobToSend,
  upload: Upload,
  tell: TellUpload,
  signal: AbortSignal,
): Promise<ExchangeResponse> {
  const send = async (): Promise<{ response: ExchangeResponse; shown: Record<string, string> }> => {
    const target = session.requestTo(upload.url);
    const { path, sizeBytes } = blob;
    const payload: SendRequest = { ...target, path, sizeBytes, offset: upload.offset, stallTimeoutMs: settings.stallTimeoutMs };
    const progress = (bytes: unknown): void => tell.bytes(Number(bytes));
    return { response: await runSend(children, payload, progress, signal), shown: target.headers };
  };
  const { response, shown } = await send();
  if (response.status !== 401 || !(await session.answerChallenge(response.headers, shown, signal))) return response;
  return (await send()).response;
}

async function finishUpload(session: RegistrySession, blob: BlobToSend, upload: Upload, signal: AbortSignal): Promise<void> {
  const url = `${upload.url}${upload.url.includes("?") ? "&" : "?"}digest=${encodeURIComponent(blob.digest)}`;
  const response = await session.ask({ method: "PUT", url, headers: { "content-type": "application/octet-stream" } }, signal);
  if (response.status !== 201 && response.status !== 204) throw refusal(response);
  const said = response.headers["docker-content-digest"];
  if (said !== undefined && said !== blob.digest)
    throw new DigestRefusedError("system", `uploading ${blob.digest}: the registry says that it got ${said}`);
}

const LOST = new Set(["BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID", "RANGE_INVALID"]);

function refusal(response: ExchangeResponse): EngineError {
  const error = pushError(response);
  if (errorCodeOf(response) === "DIGEST_INVALID") return new DigestRefusedError(error.kind, error.message);
  const isLost = response.status === 404 || response.status === 416 || LOST.has(errorCodeOf(response) ?? "");
  // A repository that is not known, or closed, does not come to be by trying.
  if (isLost && errorCodeOf(response) !== "NAME_UNKNOWN") return new LostUploadError(error.kind, error.message);
  return response.status >= 500 ? new UnwellError(error.kind, error.message) : error;
}
