import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";

import type { Decoder } from "../api/decode.ts";
import { parseJson } from "../api/json.ts";
import { EngineError } from "../base/errors.ts";

/** A JSON body above this is refused. Docker has no limit; a create with thousands of labels has some hundred KiB. */
export const MAX_JSON_BODY_BYTES = 4 * 1024 * 1024;

/** The body of a request. */
export interface Body {
  /**
   * The body as JSON. Docker's rules: no body at all is the zero value; a body needs the content type application/json; what comes after
   * the first value is refused.
   */
  json<T>(decoder: Decoder<T>): Promise<T>;
  /** The same before any decoder has seen it; undefined where there is no body. */
  parsed(): Promise<unknown>;
  /** Content-Length; undefined when it is chunked; 0 for none. */
  readonly lengthBytes: number | undefined;
  /** The bytes as they come, for tar archives. Who stops reading half-way does not close the connection, as a stream of Node's would. */
  stream(): AsyncIterable<Uint8Array>;
}

export function openBody(request: IncomingMessage, source: Readable): Body {
  const lengthBytes = bodyLength(request);
  const parsed = async (): Promise<unknown> => {
    checkContentType(request.headers["content-type"], lengthBytes);
    if (lengthBytes === 0) return undefined;
    const text = (await readAll(source, lengthBytes)).toString("utf8");
    if (text.trim() === "") throw new EngineError("invalid", "invalid JSON: got EOF while reading request body");
    const value = parseJson(text);
    if (text.includes("\\u0000")) refuseNul(value);
    return value;
  };
  return {
    lengthBytes,
    // A Readable without an encoding gives Buffers.
    stream: () => source.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>,
    parsed,
    async json(decoder) {
      const value = await parsed();
      return value === undefined ? decoder.zero() : decoder.decode(value, "");
    },
  };
}

function bodyLength(request: IncomingMessage): number | undefined {
  if (request.headers["transfer-encoding"] !== undefined) return undefined;
  return Number(request.headers["content-length"] ?? 0);
}

/** Docker takes a missing content type only together with a missing body. */
function checkContentType(contentType = "", lengthBytes: number | undefined): void {
  if (contentType === "" && lengthBytes === 0) return;
  const [mediaType = ""] = contentType.split(";", 1);
  const trouble = mimeTrouble(mediaType.trim());
  if (trouble !== undefined) throw new EngineError("invalid", `malformed Content-Type header (${contentType}): mime: ${trouble}`);
  if (mediaType.trim().toLowerCase() !== "application/json")
    throw new EngineError("invalid", `unsupported Content-Type header (${contentType}): must be 'application/json'`);
}

/** What Go's mime package has to say of a media type. */
function mimeTrouble(mediaType: string): string | undefined {
  const [, type = "", slash = "", subtype = "", rest = ""] =
    /^([!#$%&'*+.^_`|~\w-]*)(\/?)([!#$%&'*+.^_`|~\w-]*)(.*)$/s.exec(mediaType) ?? [];
  if (type === "") return "no media type";
  if (slash === "") return rest === "" ? undefined : "expected slash after first token";
  if (subtype === "") return "expected token after slash";
  return rest === "" ? undefined : "unexpected content after media subtype";
}

/** Reads on after a refusal: the connection can then be used again, and is not reset under the answer. */
function readAll(source: Readable, lengthBytes: number | undefined): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const refuse = (): void =>
      reject(new EngineError("tooLarge", `the request's JSON body is larger than ${MAX_JSON_BODY_BYTES} bytes, the most that is read`));
    if ((lengthBytes ?? 0) > MAX_JSON_BODY_BYTES) return refuse();
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    source.on("data", (chunk: Buffer) => {
      sizeBytes += chunk.length;
      if (sizeBytes > MAX_JSON_BODY_BYTES) refuse();
      else chunks.push(chunk);
    });
    source.on("end", () => resolve(Buffer.concat(chunks)));
    source.on("error", reject);
    source.on("close", () => reject(new EngineError("invalid", "invalid JSON: unexpected EOF")));
  });
}

/** No name, path or variable that reaches the kernel may hold a NUL; what else might is not worth telling apart. */
function refuseNul(value: unknown): void {
  if (typeof value === "string" && value.includes("\0"))
    throw new EngineError("invalid", "invalid JSON: a string contains a NUL character");
  if (typeof value !== "object" || value === null) return;
  for (const [key, item] of Object.entries(value)) {
    refuseNul(key);
    refuseNul(item);
  }
}
