import { Duplex } from "node:stream";
import { expect, test } from "vitest";

import { EngineError } from "../base/errors.ts";
import type { Containers } from "../engine/containers/containers.ts";
import { openTestServer } from "./fake-engine.ts";

/** A target that answers every byte it gets in upper case, and says goodbye when its stdin has ended. */
function echoTarget(goodbye = "bye\n"): Duplex {
  return new Duplex({
    read: () => undefined,
    write(chunk: Buffer, _encoding, callback) {
      this.push(chunk.toString("latin1").toUpperCase());
      callback();
    },
    final(callback) {
      this.push(goodbye);
      this.push(null);
      callback();
    },
  });
}

const attachable = (tty = false): Partial<Containers> => ({ attach: async () => ({ tty, stream: echoTarget() }) });

const UPGRADE = "Host: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n";

test("attach switches protocols, and output goes on after the client has ended its stdin", async () => {
  await using server = await openTestServer({ containers: attachable() });
  const client = await server.connect();
  client.socket.write(`POST /v1.50/containers/a/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\n${UPGRADE}\r\n`);
  const head = await client.until("\r\n\r\n");
  expect(head).toMatch(/^HTTP\/1\.1 101 UPGRADED\r\n/);
  expect(head).toContain("Content-Type: application/vnd.docker.multiplexed-stream\r\n");
  expect(head).toContain("Connection: Upgrade\r\nUpgrade: tcp\r\n");
  client.socket.write("hello ");
  await client.until("HELLO");
  client.socket.end("world\n");
  expect(await client.untilEnd()).toContain("HELLO WORLD\nbye\n");
});

test("stdin that comes in one packet with the head is not lost", async () => {
  await using server = await openTestServer({ containers: attachable() });
  const client = await server.connect();
  client.socket.end(`POST /containers/a/attach?stream=1 HTTP/1.1\r\n${UPGRADE}\r\nGET / HTTP/1.1\r\n\r\n`);
  expect(await client.untilEnd()).toMatch(/\r\n\r\nGET \/ HTTP\/1\.1\r\n\r\nbye\n$/);
});

test.each([
  ["1.41", false, "application/vnd.docker.raw-stream"],
  ["1.42", false, "application/vnd.docker.multiplexed-stream"],
  ["1.50", true, "application/vnd.docker.raw-stream"],
])("the content type for API %s, tty %s is %s", async (version, tty, contentType) => {
  await using server = await openTestServer({ containers: attachable(tty) });
  const client = await server.connect();
  client.socket.end(`POST /v${version}/containers/a/attach HTTP/1.1\r\n${UPGRADE}\r\n`);
  expect(await client.untilEnd()).toContain(`\r\nContent-Type: ${contentType}\r\n`);
});

test("without an Upgrade header the answer is 200 and the connection is raw all the same, whatever stdin looks like", async () => {
  await using server = await openTestServer({ containers: attachable() });
  const client = await server.connect();
  client.socket.write("POST /containers/a/attach?stream=1 HTTP/1.1\r\nHost: docker\r\nContent-Length: 2\r\n\r\n{}");
  expect(await client.until("\r\n\r\n")).toMatch(/^HTTP\/1\.1 200 OK\r\nContent-Type: application\/vnd\.docker\.raw-stream\r\n/);
  client.socket.write("get /version http/1.1\r\nhost: x\r\n\r\n");
  await client.until("HOST: X");
  client.socket.end("end\n");
  expect(await client.untilEnd()).toMatch(/\r\n\r\nGET \/VERSION HTTP\/1\.1\r\nHOST: X\r\n\r\nEND\nbye\n$/);
});

test("what fails before the switch is an ordinary answer", async () => {
  const attach = async (): Promise<never> => {
    throw new EngineError("notFound", "No such container: a");
  };
  await using server = await openTestServer({ containers: { attach } });
  const client = await server.connect();
  client.socket.write(`POST /containers/a/attach HTTP/1.1\r\n${UPGRADE}\r\n`);
  const answer = await client.untilEnd();
  expect(answer).toMatch(/^HTTP\/1\.1 404 Not Found\r\n/);
  expect(answer).toMatch(/\r\n\r\n\{"message":"No such container: a"\}\n$/);
});

const execBody = '{"Detach":false,"Tty":false}';
const chunkedBody = `5\r\n${execBody.slice(0, 5)}\r\n${(execBody.length - 5).toString(16)};x=1\r\n${execBody.slice(5)}\r\n0\r\n\r\n`;

test.each([
  ["with a length", `Content-Length: ${execBody.length}\r\n\r\n${execBody}`],
  ["in chunks", `Transfer-Encoding: chunked\r\n\r\n${chunkedBody}`],
])("exec start reads its body %s, and what follows is stdin", async (_name, body) => {
  const seen: unknown[] = [];
  await using server = await openTestServer({
    containers: {
      execInspect: () => ({}),
      execStart: async (id, options) => {
        seen.push(id, options);
        return { tty: false, stream: echoTarget() };
      },
    },
  });
  const client = await server.connect();
  const message = `POST /exec/e1/start HTTP/1.1\r\n${UPGRADE}Content-Type: application/json\r\n${body}stdin\n`;
  // Byte by byte is the worst that a network does.
  for (const character of message) client.socket.write(character);
  client.socket.end();
  expect(await client.untilEnd()).toMatch(/^HTTP\/1\.1 101 UPGRADED\r\n[^]*\r\n\r\nSTDIN\nbye\n$/);
  expect(seen).toEqual(["e1", { Detach: false, Tty: false, ConsoleSize: undefined, canHandOver: true }]);
});

test("an exec that does not start says so in the stream, as a frame of stdout", async () => {
  await using server = await openTestServer({
    containers: {
      execInspect: () => ({}),
      execStart: async () => {
        throw new EngineError("invalid", 'exec: "x": executable file not found in $PATH');
      },
    },
  });
  const client = await server.connect();
  client.socket.write(
    `POST /exec/e1/start HTTP/1.1\r\n${UPGRADE}Content-Type: application/json\r\nContent-Length: ${execBody.length}\r\n\r\n${execBody}`,
  );
  const text = 'exec: "x": executable file not found in $PATH\r\n';
  expect((await client.untilEnd()).split("\r\n\r\n").slice(1).join("\r\n\r\n")).toBe(
    `\u0001\0\0\0\0\0\0${String.fromCharCode(text.length)}${text}`,
  );
});

test("a detached exec start is answered 200 without a body, and its error with a status", async () => {
  let fails = false;
  await using server = await openTestServer({
    containers: {
      execInspect: () => ({}),
      execStart: async () => {
        if (fails) throw new EngineError("conflict", "Container a is paused, unpause the container before exec");
        return undefined;
      },
    },
  });
  const request = `POST /exec/e1/start HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n{"Detach":true}`;
  expect(await server.raw(request)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n$/);
  fails = true;
  expect(await server.raw(request)).toMatch(/^HTTP\/1\.1 409 Conflict\r\n/);
});

test("a client that goes away ends the session", async () => {
  const target = echoTarget();
  await using server = await openTestServer({ containers: { attach: async () => ({ tty: true, stream: target }) } });
  const client = await server.connect();
  client.socket.write(`POST /containers/a/attach HTTP/1.1\r\n${UPGRADE}\r\n`);
  await client.until("\r\n\r\n");
  const closed = new Promise((resolve) => target.once("close", resolve));
  client.socket.destroy();
  await closed;
  expect(target.destroyed).toBe(true);
});

test("the end of the daemon ends sessions", async () => {
  const server = await openTestServer({ containers: attachable() });
  const client = await server.connect();
  client.socket.write(`POST /containers/a/attach HTTP/1.1\r\n${UPGRADE}\r\n`);
  await client.until("\r\n\r\n");
  const ended = client.untilEnd();
  await server[Symbol.asyncDispose]();
  expect(await ended).toMatch(/\r\n\r\n$/);
});
