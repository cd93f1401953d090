import type { Socket } from "node:net";
import { Readable } from "node:stream";

/**
 * HTTP/1.1 as far as a client of the Engine API needs it, over a connection that is there already and serves one request. node:http does the
 * same and takes 20 ms to load, more than all else that a short command does.
 */

export type Request = {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer | undefined;
  /** Sent in chunks, as it comes. */
  readonly stream?: AsyncIterable<string | Uint8Array> | undefined;
};

export type Answer = {
  readonly status: number;
  readonly statusText: string;
  /** By their names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Ends when the answer is complete, fails when it breaks off. Not reading it holds the sender back. */
  readonly body: Readable;
};

/** What an answer may have before its body. */
const HEAD_BYTES = 256 * 1024;
/** What a chunk's size, with its extensions, or a trailer may take. */
const LINE_BYTES = 16 * 1024;

/** Sends a request and gives the answer once its head is here, or the connection itself when the engine switches protocols. */
export function exchange(socket: Socket, request: Request): Promise<Answer | Socket> {
  return new Promise((resolve, reject) => {
    let head: Buffer = Buffer.alloc(0);
    const broken = (error?: Error): void => {
      socket.destroy();
      reject(error ?? new Error("the engine closed the connection without an answer"));
    };
    const onClose = (): void => broken();
    const onData = (data: Buffer): void => {
      head = head.length === 0 ? data : Buffer.concat([head, data]);
      for (;;) {
        const end = head.indexOf("\r\n\r\n");
        if (end === -1) {
          if (head.length > HEAD_BYTES) broken(new Error(`the engine's answer has no end of its head within ${HEAD_BYTES} bytes`));
          return;
        }
        const parsed = parseHead(head.toString("latin1", 0, end));
        if (parsed === undefined) return broken(new Error("the engine's answer is not HTTP/1.1"));
        const rest = head.subarray(end + 4);
        if (parsed.status >= 200 || parsed.status === 101) {
          socket.pause().off("data", onData).off("error", broken).off("close", onClose);
          resolve(parsed.status === 101 ? handOver(socket, rest) : { ...parsed, body: readBody(socket, rest, request.method, parsed) });
          return;
        }
        // An interim answer; the real one follows.
        head = rest;
      }
    };
    socket.on("data", onData).on("error", broken).on("close", onClose);
    send(socket, request);
  });
}

function send(socket: Socket, { method, path, headers, body, stream }: Request): void {
  const all: Record<string, string> = { Connection: "close", ...headers };
  if (stream !== undefined) all["Transfer-Encoding"] = "chunked";
  else if (body !== undefined || method === "POST") all["Content-Length"] = String(body?.length ?? 0);
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value.replace(/[\r\n]/g, " ")}\r\n`);
  socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
  if (body !== undefined) socket.write(body);
  if (stream !== undefined) void sendChunks(socket, stream);
}

async function sendChunks(socket: Socket, stream: AsyncIterable<string | Uint8Array>): Promise<void> {
  try {
    for await (const piece of stream) {
      const data = typeof piece === "string" ? Buffer.from(piece) : piece;
      if (data.length === 0) continue;
      if (socket.destroyed) return;
      socket.cork();
      socket.write(`${data.length.toString(16)}\r\n`);
      socket.write(data);
      const hasRoom = socket.write("\r\n");
      socket.uncork();
      if (!hasRoom) await drained(socket);
    }
    socket.write("0\r\n\r\n");
  } catch (error) {
    // What we read from failed: the engine must not take what it got for the whole.
    socket.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off("drain", done).off("close", done);
      resolve();
    };
    socket.on("drain", done).on("close", done);
  });
}

function parseHead(text: string): Omit<Answer, "body"> | undefined {
  const [first = "", ...lines] = text.split("\r\n");
  const [, status, statusText = ""] = /^HTTP\/1\.[01] (\d{3})(?: (.*))?$/.exec(first) ?? [];
  if (status === undefined) return undefined;
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon > 0) headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { status: Number(status), statusText, headers };
}

/** What came behind the head is the first of the new protocol. The connection is paused: whoever reads it resumes it. */
function handOver(socket: Socket, rest: Buffer): Socket {
  if (rest.length > 0) socket.unshift(rest);
  return socket;
}

function readBody(socket: Socket, first: Buffer, method: string, { status, headers }: Omit<Answer, "body">): Readable {
  const body = new Readable({
    read: () => void socket.resume(),
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  // Whoever reads it gets the error; one that comes before that must not end the process.
  body.on("error", () => undefined);
  const finish = (): void => {
    body.push(null);
    socket.off("data", onData);
    socket.destroy();
  };
  const push = (data: Buffer): void => {
    if (!body.push(data)) socket.pause();
  };
  const length = headers["content-length"];
  const endsWithConnection = length === undefined && headers["transfer-encoding"] === undefined;
  const take =
    headers["transfer-encoding"] !== undefined ? chunkReader(push) : length === undefined ? endless(push) : lengthReader(length, push);
  let complete = method === "HEAD" || status === 204 || status === 304 || length === "0";
  const onData = (data: Buffer): void => {
    try {
      complete = take(data);
    } catch (error) {
      body.destroy(error instanceof Error ? error : new Error(String(error)));
    }
    if (complete) finish();
  };
  if (complete) {
    finish();
    return body;
  }
  socket.on("data", onData);
  socket.on("error", (error) => body.destroy(error));
  socket.on("close", () => {
    if (complete) return;
    if (endsWithConnection) body.push(null);
    else body.destroy(new Error("the engine broke off its answer: unexpected EOF"));
  });
  if (first.length > 0) onData(first);
  return body;
}

/** Takes a body's pieces and says when it is complete. */
type BodyReader = (data: Buffer) => boolean;

const endless =
  (push: (data: Buffer) => void): BodyReader =>
  (data) => {
    push(data);
    return false;
  };

function lengthReader(length: string, push: (data: Buffer) => void): BodyReader {
  let left = Number(length);
  return (data) => {
    if (!/^\d+$/.test(length)) throw new Error(`the engine's answer has the length ${JSON.stringify(length)}`);
    push(data.subarray(0, left));
    left -= Math.min(left, data.length);
    return left === 0;
  };
}

/** The chunked coding: `size-in-hex[;extension]`, the chunk, and so on, a chunk of size 0, trailers, an empty line. Pieces are cut anywhere. */
function chunkReader(push: (data: Buffer) => void): BodyReader {
  let state: "size" | "chunk" | "end of chunk" | "trailers" = "size";
  let line = "";
  let left = 0;
  return (data) => {
    for (let at = 0; at < data.length;) {
      if (state === "chunk") {
        const part = data.subarray(at, at + left);
        push(part);
        at += part.length;
        left -= part.length;
        if (left === 0) state = "end of chunk";
        continue;
      }
      const newline = data.indexOf("\n", at);
      line += data.toString("latin1", at, newline === -1 ? data.length : newline);
      if (line.length > LINE_BYTES) throw new Error("the engine's answer is cut into chunks that have no size");
      if (newline === -1) return false;
      at = newline + 1;
      const text = line.replace(/\r$/, "");
      line = "";
      if (state === "trailers") {
        if (text === "") return true;
      } else if (state === "end of chunk") {
        if (text !== "") throw new Error("the engine's answer has a chunk that is longer than its size");
        state = "size";
      } else {
        const [, size] = /^([0-9a-fA-F]{1,8})[ \t]*(?:;.*)?$/.exec(text) ?? [];
        if (size === undefined) throw new Error(`the engine's answer has a chunk of size ${JSON.stringify(text.slice(0, 20))}`);
        left = Number.parseInt(size, 16);
        state = left === 0 ? "trailers" : "chunk";
      }
    }
    return false;
  };
}
