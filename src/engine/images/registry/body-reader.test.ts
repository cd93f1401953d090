import { describe, expect, test } from "vitest";

import { BodyReader, type ResponseHead } from "./body-reader.ts";

/** Reads an answer that comes in pieces of `step` bytes, then ends. */
function read(answer: string, step: number): { head: ResponseHead | undefined; body: string; isComplete: boolean } {
  let head: ResponseHead | undefined;
  let body = "";
  const reader = new BodyReader(
    (received) => (head = received),
    (bytes) => (body += bytes.toString("latin1")),
  );
  for (let at = 0; at < answer.length; at += step) reader.push(Buffer.from(answer.slice(at, at + step), "latin1"));
  const { isComplete } = reader;
  reader.finish();
  return { head, body, isComplete };
}

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n";

describe.each([1, 7, 1000])("in pieces of %d bytes", (step) => {
  test.each([
    ["of a known length", "HTTP/1.1 206 Partial\r\ncontent-length:  5 \r\nX: y\r\n\r\nhello", "hello", true],
    ["in chunks", CHUNKED, "hello world", true],
    ["that ends with the connection", "HTTP/1.0 200 OK\r\n\r\nhello", "hello", false],
    ["behind an interim answer", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", "x", true],
    ["that has none", "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", "", true],
  ])("a body %s", (_what, answer, body, isComplete) => {
    expect(read(answer, step)).toMatchObject({ body, isComplete });
  });

  test.each([
    ["", "unexpected EOF"],
    ["HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello", "unexpected EOF"],
    ["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhello", "longer than it said"],
    ["HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nhello", "two lengths"],
    ["HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nhello", "no number"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello", "transfer encoding gzip"],
    ["HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "cannot be read"],
    [CHUNKED.slice(0, -5), "unexpected EOF"],
    [CHUNKED.replace("5\r\n", "-5\r\n"), "no length"],
    ["SSH-2.0-OpenSSH\r\n\r\n", 'begins with "SSH-2.0-OpenSSH"'],
    [`HTTP/1.1 200 OK\r\nX: ${"y".repeat(70_000)}`, "too long"],
  ])("%j is refused", (answer, message) => {
    expect(() => read(answer, step)).toThrow(message);
  });
});
