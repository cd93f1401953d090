import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { connect, createServer, type Server, type Socket } from "node:net";
import path from "node:path";
import { Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { text } from "node:stream/consumers";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { exchange, type Answer } from "./http.ts";

let folder: string;
let server: Server | undefined;

beforeEach(() => {
  folder = mkdtempSync("/tmp/tsubo-http-");
});
afterEach(() => {
  server?.close();
  rmSync(folder, { recursive: true });
});

async function serve(started: Server): Promise<() => Socket> {
  server = started;
  const file = path.join(folder, "engine.sock");
  await new Promise<void>((resolve) => server?.listen(file, resolve));
  return () => connect(file);
}

/** A server that answers each request with `bytes`, whatever was asked, written as pieces that arrive one by one, and then closes. */
function answering(pieces: () => readonly string[]): Promise<() => Socket> {
  return serve(
    createServer((socket) => {
      socket.on("error", () => undefined).once("data", () => void writeEach(socket, pieces()));
    }),
  );
}

async function writeEach(socket: Socket, pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) {
    socket.write(piece);
    // Both ends share this event loop: two turns later the piece was read.
    await nextTurn();
    await nextTurn();
  }
  socket.end();
}

const get = { method: "GET", path: "/x", headers: { Host: "localhost" } };

async function answerTo(socket: Socket, request: Parameters<typeof exchange>[1] = get): Promise<Answer> {
  const answer = await exchange(socket, request);
  if (!("status" in answer)) throw new Error("the protocol was switched");
  return answer;
}

describe("an answer cut anywhere into two is the same answer", () => {
  const head = "HTTP/1.1 200 OK\r\nApi-Version: 1.50\r\n";
  test.each([
    ["with a length", `${head}Content-Length: 11\r\n\r\nhello world`],
    ["in chunks", `${head}Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: t\r\n\r\n`],
    ["up to the end of the connection", `${head}\r\nhello world`],
    ["behind an interim one", `HTTP/1.1 100 Continue\r\n\r\n${head}Content-Length: 11\r\n\r\nhello world`],
  ])("%s", async (_name, bytes) => {
    let cut = 0;
    const open = await answering(() => [bytes.slice(0, cut), bytes.slice(cut)]);
    for (cut = 1; cut < bytes.length; cut += 1) {
      const answer = await answerTo(open());
      expect([cut, answer.status, answer.statusText, answer.headers["api-version"]]).toEqual([cut, 200, "OK", "1.50"]);
      expect([cut, await text(answer.body)]).toEqual([cut, "hello world"]);
    }
  });
});

test.each([
  ["no answer", "", /closed the connection without an answer/],
  ["no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\n", /not HTTP/],
  ["a body that breaks off", "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello", /unexpected EOF/],
  ["chunks that break off", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", /unexpected EOF/],
  ["a chunk without a size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n", /chunk of size "hello"/],
  ["a chunk longer than its size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n", /longer than its size/],
  ["no length", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello", /the length "-1"/],
])("%s is an error that says so", async (_name, bytes, message) => {
  const open = await answering(() => [bytes]);
  await expect(answerTo(open()).then(({ body }) => text(body))).rejects.toThrow(message);
});

test("no body follows HEAD, 204 and 304, whatever the headers say", async () => {
  let status = "200 OK";
  const open = await answering(() => [`HTTP/1.1 ${status}\r\nContent-Length: 11\r\n\r\n`]);
  expect(await text((await answerTo(open(), { ...get, method: "HEAD" })).body)).toBe("");
  status = "304 Not Modified";
  expect(await text((await answerTo(open())).body)).toBe("");
});

test("a switched protocol begins with the very next byte and may be half-closed", async () => {
  const open = await serve(
    createServer({ allowHalfOpen: true }, (socket) => {
      socket.once("data", () => {
        socket.write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nfirst ");
        socket.on("data", (data) => socket.write(data)).on("end", () => socket.end(" last"));
      });
    }),
  );
  const socket = await exchange(open(), { ...get, method: "POST", headers: { ...get.headers, Connection: "Upgrade", Upgrade: "tcp" } });
  if ("status" in socket) throw new Error("the protocol was not switched");
  socket.end("typed");
  expect(await text(socket)).toBe("first typed last");
});

test("bodies, streams and headers reach a real server as they were sent, and come back", async () => {
  const open = await serve(
    createHttpServer((request, response) => {
      response.setHeader(
        "X-Got",
        `${request.method} ${request.url} ${String(request.headers["x-sent"])} ${request.headers["content-length"]}`,
      );
      request.pipe(response);
    }),
  );
  const pieces = Array.from({ length: 200 }, (_, index) => String(index).repeat(5000));
  const headers = { Host: "localhost", "X-Sent": "a\r\nb" };
  const streamed = await answerTo(open(), { method: "POST", path: "/a?b=c", headers, stream: Readable.from(pieces) });
  expect(streamed.headers["x-got"]).toBe("POST /a?b=c a  b undefined");
  expect(await text(streamed.body)).toBe(pieces.join(""));
  const sent = await answerTo(open(), { method: "PUT", path: "/", headers, body: Buffer.from("body") });
  expect([sent.headers["x-got"], await text(sent.body)]).toEqual(["PUT / a  b 4", "body"]);
});

test("who does not read holds the sender back", async () => {
  const total = 64 * 1024 * 1024;
  let accepted = 0;
  const open = await serve(
    createHttpServer((_request, response) => {
      const more = (): void => {
        while (accepted < total) {
          accepted += 65_536;
          if (!response.write(Buffer.alloc(65_536))) return void response.once("drain", more);
        }
        response.end();
      };
      more();
    }),
  );
  const { body } = await answerTo(open());
  for (let turn = 0; turn < 100; turn += 1) await nextTurn();
  expect(accepted).toBeLessThan(total / 8);
  let read = 0;
  for await (const chunk of body) read += (chunk as Buffer).length;
  expect(read).toBe(total);
});

test("a source that fails breaks the request off", async () => {
  const complete: boolean[] = [];
  const got = Promise.withResolvers<void>();
  const open = await serve(
    createHttpServer((request) => {
      request.on("data", () => got.resolve()).on("error", () => undefined);
      request.on("close", () => complete.push(request.complete));
    }),
  );
  const stream = Readable.from(
    (async function* () {
      yield "some";
      await got.promise;
      throw new Error("the disk is gone");
    })(),
  );
  await expect(answerTo(open(), { ...get, method: "POST", stream })).rejects.toThrow("the disk is gone");
  await expect.poll(() => complete, { timeout: 10_000 }).toEqual([false]);
});
