import { JobError } from "../../../store/child/serve.ts";

/**
 * The answer to a GET as it comes off a socket: an HTTP/1.1 reader for large bodies only. Node's own parser gives every 64 KiB in a fresh
 * buffer, which costs five times as much CPU as all the rest of a download.
 */
export interface ResponseHead {
  status: number;
  /** Names in lower case. */
  headers: Record<string, string>;
}

const MAX_HEAD_BYTES = 64 * 1024;
const MAX_CHUNK_LINE_BYTES = 1024;

/** Length of the body: known, in chunks, or until the end of the connection. */
type Framing = { kind: "length"; left: number } | { kind: "chunked"; left: number; line: string; ended: boolean } | { kind: "close" };

export class BodyReader {
  readonly #onHead: (head: ResponseHead) => void;
  readonly #onBody: (bytes: Buffer) => void;
  #head: Buffer = Buffer.alloc(0);
  #framing: Framing | undefined;

  /** `onBody` gets pieces that are only valid during the call. */
  constructor(onHead: (head: ResponseHead) => void, onBody: (bytes: Buffer) => void) {
    this.#onHead = onHead;
    this.#onBody = onBody;
  }

  /** True when the response is complete. */
  get isComplete(): boolean {
    const framing = this.#framing;
    if (framing === undefined || framing.kind === "close") return false;
    return framing.kind === "length" ? framing.left === 0 : framing.ended;
  }

  push(bytes: Buffer): void {
    if (this.#framing !== undefined) return this.#body(this.#framing, bytes);
    this.#head = Buffer.concat([this.#head, bytes]);
    const end = this.#head.indexOf("\r\n\r\n");
    if (end > MAX_HEAD_BYTES || (end === -1 && this.#head.length > MAX_HEAD_BYTES)) throw malformed("its head is too long");
    if (end === -1) return;
    const head = parseHead(this.#head.toString("latin1", 0, end));
    const rest = this.#head.subarray(end + 4);
    this.#head = Buffer.alloc(0);
    // Interim answers (100 Continue) come before the real one.
    if (head.status < 200) return this.push(rest);
    this.#framing = framingOf(head);
    this.#onHead(head);
    this.#body(this.#framing, rest);
  }

  /** The connection was closed: throws when that was too early. */
  finish(): void {
    if (this.#framing?.kind !== "close" && !this.isComplete) throw new JobError("unexpected EOF", { network: true });
  }

  #body(framing: Framing, bytes: Buffer): void {
    if (bytes.length === 0) return;
    switch (framing.kind) {
      case "close":
        return this.#onBody(bytes);
      case "length":
        if (bytes.length > framing.left) throw malformed("its body is longer than it said");
        framing.left -= bytes.length;
        return this.#onBody(bytes);
      case "chunked":
        return this.#chunked(framing, bytes);
    }
  }

  #chunked(framing: Framing & { kind: "chunked" }, bytes: Buffer): void {
    let rest = bytes;
    while (rest.length > 0 && !framing.ended) {
      if (framing.left > 0) {
        const piece = rest.subarray(0, framing.left);
        framing.left -= piece.length;
        this.#onBody(piece);
        rest = rest.subarray(piece.length);
        continue;
      }
      const newline = rest.indexOf(0x0a);
      framing.line += rest.toString("latin1", 0, newline === -1 ? rest.length : newline + 1);
      if (framing.line.length > MAX_CHUNK_LINE_BYTES) throw malformed("a chunk has no length");
      if (newline === -1) return;
      rest = rest.subarray(newline + 1);
      const line = framing.line.trim();
      framing.line = "";
      // The line's end after a chunk.
      if (line === "") continue;
      const length = /^([0-9a-fA-F]{1,12})\s*(?:;.*)?$/.exec(line)?.[1];
      if (length === undefined) throw malformed("a chunk has no length");
      framing.left = Number.parseInt(length, 16);
      if (framing.left === 0) framing.ended = true;
    }
  }
}

function parseHead(text: string): ResponseHead {
  const [first = "", ...lines] = text.split("\r\n");
  const status = /^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(first)?.[1];
  if (status === undefined) throw malformed(`it begins with ${JSON.stringify(first.slice(0, 50))}`);
  const headers: Record<string, string> = {};
  for (const line of lines) {
    const [, name = "", value = ""] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === "") throw malformed("a header line cannot be read");
    const key = name.toLowerCase();
    if (key === "content-length" && headers[key] !== undefined && headers[key] !== value) throw malformed("it gives two lengths");
    headers[key] = value;
  }
  return { status: Number(status), headers };
}

function framingOf(head: ResponseHead): Framing {
  if (head.status === 204 || head.status === 304) return { kind: "length", left: 0 };
  const encoding = head.headers["transfer-encoding"];
  if (encoding !== undefined) {
    if (encoding.toLowerCase() !== "chunked") throw malformed(`transfer encoding ${encoding}`);
    return { kind: "chunked", left: 0, line: "", ended: false };
  }
  const length = head.headers["content-length"];
  if (length === undefined) return { kind: "close" };
  if (!/^\d{1,15}$/.test(length)) throw malformed("its length is no number");
  return { kind: "length", left: Number(length) };
}

function malformed(why: string): JobError {
  return new JobError(`malformed HTTP response: ${why}`, { network: true });
}
