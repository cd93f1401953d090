import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { Readable } from "node:stream";

import { EngineError } from "../base/errors.ts";
import { MAX_JSON_BODY_BYTES } from "./body.ts";

/**
 * The body of an upgraded request: Node leaves it, with whatever comes after it, in `head` and on the socket. Reads exactly the body and
 * puts the rest back, so that it becomes stdin.
 */
export async function readUpgradeBody(request: IncomingMessage, socket: Socket, head: Buffer): Promise<Readable> {
  if (head.length > 0) socket.unshift(head);
  const chunked = request.headers["transfer-encoding"] !== undefined;
  const lengthBytes = Number(request.headers["content-length"] ?? 0);
  if (lengthBytes > MAX_JSON_BODY_BYTES) return Readable.from([]);
  if (!chunked && lengthBytes === 0) return Readable.from([]);
  const body = await readUntil(socket, chunked ? chunkedBodyEnd : (bytes) => plainBodyEnd(bytes, lengthBytes));
  return Readable.from([body]);
}

/** Where a whole body ends in `bytes`, and the body itself; undefined as long as it is not all there. */
type FindEnd = (bytes: Buffer) => { end: number; body: Buffer } | undefined;

function plainBodyEnd(bytes: Buffer, lengthBytes: number): { end: number; body: Buffer } | undefined {
  return bytes.length < lengthBytes ? undefined : { end: lengthBytes, body: bytes.subarray(0, lengthBytes) };
}

function chunkedBodyEnd(bytes: Buffer): { end: number; body: Buffer } | undefined {
  const chunks: Buffer[] = [];
  let at = 0;
  for (;;) {
    const lineEnd = bytes.indexOf("\r\n", at);
    if (lineEnd < 0) return undefined;
    const size = /^([0-9a-fA-F]{1,8})(?:;.*)?$/.exec(bytes.toString("latin1", at, lineEnd))?.[1];
    if (size === undefined) throw new EngineError("invalid", "malformed chunked encoding");
    const start = lineEnd + 2;
    const end = start + Number.parseInt(size, 16);
    if (end === start) {
      // No trailers: nobody sends them here.
      return bytes.length < start + 2 ? undefined : { end: start + 2, body: Buffer.concat(chunks) };
    }
    if (bytes.length < end + 2) return undefined;
    chunks.push(bytes.subarray(start, end));
    at = end + 2;
  }
}

function readUntil(socket: Socket, findEnd: FindEnd): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let bytes: Buffer = Buffer.alloc(0);
    const stop = (settle: () => void): void => {
      socket.off("data", onData);
      socket.off("close", onClose);
      socket.off("end", onClose);
      socket.pause();
      settle();
    };
    const onClose = (): void => stop(() => reject(new EngineError("invalid", "invalid JSON: unexpected EOF")));
    const onData = (chunk: Buffer): void => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      try {
        const found = findEnd(bytes);
        if (found !== undefined) {
          stop(() => resolve(Buffer.from(found.body)));
          if (found.end < bytes.length) socket.unshift(bytes.subarray(found.end));
        } else if (bytes.length > 2 * MAX_JSON_BODY_BYTES) {
          throw new EngineError("tooLarge", `the request's body is larger than ${MAX_JSON_BODY_BYTES} bytes, the most that is read`);
        }
      } catch (error) {
        stop(() => reject(error));
      }
    };
    socket.on("data", onData);
    socket.on("close", onClose);
    socket.on("end", onClose);
  });
}
