import { existsSync, linkSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { Agent, get } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import pino from "pino";
import { expect, test } from "vitest";

import { EngineError } from "../base/errors.ts";
import { MAX_JSON_BODY_BYTES } from "./body.ts";
import { makeEngine, openRawClient, openTestServer } from "./fake-engine.ts";
import { type HttpServer, openHttp } from "./server.ts";

const bodyOf = (answer: string): string => answer.slice(answer.indexOf("\r\n\r\n") + 4);
const close = "Host: docker\r\nConnection: close\r\n";

const get1 = (target: string, method = "GET"): string => `${method} ${target} HTTP/1.1\r\n${close}\r\n`;

function post(target: string, body: string, contentType = "application/json"): string {
  const type = contentType === "" ? "" : `Content-Type: ${contentType}\r\n`;
  return `POST ${target} HTTP/1.1\r\n${close}${type}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}

test("ping tells a client all it wants to know, by GET and by HEAD", async () => {
  await using server = await openTestServer();
  for (const method of ["GET", "HEAD"]) {
    const answer = await server.raw(get1("/_ping", method));
    for (const line of [
      "HTTP/1.1 200 OK",
      "Api-Version: 1.50",
      "Builder-Version: 1",
      "Cache-Control: no-cache, no-store, must-revalidate",
      "Content-Type: text/plain; charset=utf-8",
      "Docker-Experimental: false",
      "Ostype: linux",
      "Pragma: no-cache",
      "Server: Tsubo/1.2.3 (linux)",
      "Swarm: inactive",
      `Content-Length: ${method === "GET" ? 2 : 0}`,
    ]) {
      expect(answer).toContain(`${line}\r\n`);
    }
    expect(bodyOf(answer)).toBe(method === "GET" ? "OK" : "");
  }
});

test.each([
  ["GET", "/nosuch"],
  ["GET", "/v1.41/nosuch"],
  ["GET", "/v1.99/nosuch"],
  ["POST", "/v1.41/_ping"],
])("%s %s is 404 without headers of ours", async (method, target) => {
  await using server = await openTestServer();
  const answer = await server.raw(get1(target, method));
  expect(answer).toMatch(/^HTTP\/1\.1 404 Not Found\r\n/);
  expect(answer).not.toContain("Api-Version");
  expect(bodyOf(answer)).toBe('{"message":"page not found"}\n');
});

test("versions above and below the range are refused, below as plain text", async () => {
  await using server = await openTestServer();
  const tooNew = await server.raw(get1("/v1.99/version"));
  expect(tooNew).toMatch(/^HTTP\/1\.1 400 [^]*Api-Version: 1\.50/);
  expect(bodyOf(tooNew)).toBe('{"message":"client version 1.99 is too new. Maximum supported API version is 1.50"}\n');
  const tooOld = await server.raw(get1("/v1.10/version"));
  expect(tooOld).toMatch(/^HTTP\/1\.1 400 [^]*Content-Type: text\/plain; charset=utf-8\r\n/);
  expect(bodyOf(tooOld)).toBe(
    "client version 1.10 is too old. Minimum supported API version is 1.24, please upgrade your client to a newer version\n",
  );
  for (const version of ["1.24", "1.50", "1.41"]) expect(await server.raw(get1(`/v${version}/version`))).toMatch(/^HTTP\/1\.1 200 /);
});

test("OPTIONS is answered everywhere, and lets no web page in", async () => {
  await using server = await openTestServer();
  const answer = await server.raw(get1("/containers/json", "OPTIONS"));
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  expect(answer).not.toMatch(/access-control/i);
});

test("an unclean path is redirected with its query", async () => {
  await using server = await openTestServer();
  expect(await server.raw(get1("//v1.41//version?a=b"))).toMatch(/^HTTP\/1\.1 301 [^]*\r\nLocation: \/v1\.41\/version\?a=b\r\n/);
});

test("what is not there yet says which operation it is; Swarm says that it is off", async () => {
  await using server = await openTestServer();
  const missing = await server.raw(get1("/v1.50/containers/a/stats"));
  expect(missing).toMatch(/^HTTP\/1\.1 501 /);
  expect(bodyOf(missing)).toBe('{"message":"GET /containers/{name}/stats (ContainerStats): not implemented by Tsubo yet"}\n');
  expect(await server.raw(get1("/services"))).toMatch(/^HTTP\/1\.1 503 [^]*This node is not a swarm manager\./);
});

test.each([
  ["{bad", "application/json", "invalid JSON: invalid character 'b' looking for beginning of object key string"],
  ["{}", "text/plain", "unsupported Content-Type header (text/plain): must be 'application/json'"],
  ["{}", "", "malformed Content-Type header (): mime: no media type"],
  ["{}", "a b", "malformed Content-Type header (a b): mime: expected slash after first token"],
  ["", "application/json", "invalid JSON: got EOF while reading request body"],
  ["{}", "application/json; charset=utf-8", "config cannot be empty in order to create a container"],
  ['{"HostConfig":{}}', "application/json", "config cannot be empty in order to create a container"],
  ["null", "application/json", "config cannot be empty in order to create a container"],
  ['{"Image":"a"} x', "application/json", "unexpected content after JSON"],
  [
    '{"Image":5}',
    "application/json",
    "invalid JSON: json: cannot unmarshal number 5 into Go struct field ContainerConfigWrapper.Image of type string",
  ],
  [String.raw`{"Image":"a\u0000b"}`, "application/json", "invalid JSON: a string contains a NUL character"],
])("create with the body %j of type %j is refused: %s", async (body, contentType, message) => {
  await using server = await openTestServer();
  const answer = await server.raw(post("/v1.41/containers/create", body, contentType));
  expect(answer).toMatch(/^HTTP\/1\.1 400 [^]*Content-Type: application\/json\r\n/);
  expect(JSON.parse(bodyOf(answer))).toEqual({ message });
});

test("a body above the limit is 413, announced or not, and the connection lives on", async () => {
  await using server = await openTestServer();
  const client = await server.connect();
  const tooMuch = " ".repeat(MAX_JSON_BODY_BYTES + 1);
  const head = "POST /containers/create HTTP/1.1\r\nHost: d\r\nContent-Type: application/json\r\n";
  client.socket.write(`${head}Content-Length: ${tooMuch.length}\r\n\r\n${tooMuch}`);
  expect(await client.until("the most that is read")).toMatch(/^HTTP\/1\.1 413 /);
  client.socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n${tooMuch.length.toString(16)}\r\n${tooMuch}\r\n0\r\n\r\n`);
  client.socket.write(get1("/_ping"));
  expect(await client.untilEnd()).toMatch(/HTTP\/1\.1 413 [^]*HTTP\/1\.1 413 [^]*\r\n\r\nOK$/);
});

test("names of members count whatever their case, and the last one wins", async () => {
  const seen: unknown[] = [];
  await using server = await openTestServer({
    containers: { create: async (body) => (seen.push(body.Image, body.HostConfig?.Memory), { Id: "1", Warnings: [] }) },
  });
  const answer = await server.raw(post("/containers/create?name=a", '{"image":"a","IMAGE":"b","hostconfig":{"memory":9007199254740993}}'));
  expect(answer).toMatch(/^HTTP\/1\.1 201 Created/);
  expect(bodyOf(answer)).toBe('{"Id":"1","Warnings":[]}\n');
  expect(seen).toEqual(["b", 9007199254740993n]);
});

test("an unchanged object is 304 without a body; an unexpected error is 500 and logged once with its stack", async () => {
  let error: Error = new EngineError("unchanged", "");
  await using server = await openTestServer({ containers: { start: () => Promise.reject(error) } });
  const unchanged = await server.raw(post("/containers/a/start", "", ""));
  expect(unchanged).toMatch(/^HTTP\/1\.1 304 Not Modified\r\n/);
  expect(bodyOf(unchanged)).toBe("");
  error = new TypeError("x is not a function");
  const broken = await server.raw(post("/containers/a/start", "", ""));
  expect(broken).toMatch(/^HTTP\/1\.1 500 /);
  expect(bodyOf(broken)).toBe('{"message":"x is not a function"}\n');
  expect(server.logged).toHaveLength(1);
  expect(server.logged[0]).toContain("server.test.ts");
});

test("wait sends its head before the end is known", async () => {
  let end: (result: { exitCode: number; error: undefined }) => void = () => undefined;
  await using server = await openTestServer({
    containers: { wait: () => ({ ended: new Promise((resolve) => (end = resolve)) }) },
  });
  const client = await server.connect();
  client.socket.write(`POST /v1.50/containers/a/wait?condition=next-exit HTTP/1.1\r\n${close}\r\n`);
  expect(await client.until("\r\n\r\n")).toMatch(/^HTTP\/1\.1 200 OK/);
  end({ exitCode: 3, error: undefined });
  expect(await client.untilEnd()).toContain('{"StatusCode":3}\n');
});

test("wait refuses a condition it does not know", async () => {
  await using server = await openTestServer();
  const answer = await server.raw(post("/containers/a/wait?condition=sometime", "", ""));
  expect(answer).toMatch(/^HTTP\/1\.1 400 [^]*invalid condition: \\"sometime\\"/);
});

test("events flush their head, then come one a line, in the shape of the API", async () => {
  await using server = await openTestServer();
  const client = await server.connect();
  client.socket.write(`GET /v1.50/events?filters={"type":["container"]} HTTP/1.1\r\n${close}\r\n`);
  await client.until("\r\n\r\n");
  server.engine.events.publish({ type: "network", action: "connect", actor: { id: "n1", attributes: {} } });
  server.engine.events.publish({ type: "container", action: "start", actor: { id: "c1", attributes: { image: "a", name: "b" } } });
  const [, line = ""] = (await client.until("timeNano")).split(/\r\n[0-9a-f]+\r\n/);
  expect(JSON.parse(line)).toMatchObject({ status: "start", id: "c1", from: "a", Type: "container", Action: "start", scope: "local" });
});

test("a client that goes away aborts what it asked for", async () => {
  const { promise: aborted, resolve } = Promise.withResolvers<string>();
  await using server = await openTestServer({
    containers: {
      wait: (_name, _condition, signal) => {
        signal?.addEventListener("abort", () => resolve("aborted"));
        return { ended: new Promise(() => undefined) };
      },
    },
  });
  const client = await server.connect();
  client.socket.write("POST /containers/a/wait HTTP/1.1\r\nHost: d\r\n\r\n");
  await client.until("\r\n\r\n");
  client.socket.destroy();
  expect(await aborted).toBe("aborted");
});

test("a client that does not read holds up neither others nor memory", async () => {
  let given = 0;
  await using server = await openTestServer({
    containers: {
      logs: async () => ({
        tty: true,
        frames: (async function* () {
          for (; given < 2000; given += 1) yield Buffer.alloc(64 * 1024);
        })(),
      }),
    },
  });
  const lazy = await server.connect();
  lazy.socket.pause();
  lazy.socket.write("GET /containers/a/logs?stdout=1&follow=1 HTTP/1.1\r\nHost: d\r\n\r\n");
  await sleep(200);
  expect(bodyOf(await server.raw(get1("/_ping")))).toBe("OK");
  expect(given).toBeGreaterThan(0);
  expect(given).toBeLessThan(100);
  lazy.socket.destroy();
});

test("a thousand idle connections are no burden", async () => {
  await using server = await openTestServer();
  const agent = new Agent({ keepAlive: true, maxSockets: 1000, maxFreeSockets: 1000 });
  const ping = (): Promise<number> =>
    new Promise((resolve, reject) => {
      get({ socketPath: server.socketPath, path: "/_ping", agent }, (response) => {
        response.resume().on("end", () => resolve(response.statusCode ?? 0));
      }).on("error", reject);
    });
  const statuses = await Promise.all(Array.from({ length: 1000 }, ping));
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(await ping()).toBe(200);
  agent.destroy();
});

test("a large header block is read, a huge one is 431", async () => {
  await using server = await openTestServer();
  const withHeader = (bytes: number): string => `GET /_ping HTTP/1.1\r\n${close}X-Registry-Config: ${"a".repeat(bytes)}\r\n\r\n`;
  expect(await server.raw(withHeader(200_000))).toMatch(/^HTTP\/1\.1 200 /);
  expect(await server.raw(withHeader(1_100_000))).toMatch(/^HTTP\/1\.1 431 /);
});

test.each(["Content-Length: 1\r\nContent-Length: 2\r\n", "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"])(
  "a request with two ideas of its length is refused: %j",
  async (headers) => {
    await using server = await openTestServer();
    expect(await server.raw(`POST /containers/create HTTP/1.1\r\nHost: d\r\n${headers}\r\n0\r\n\r\n`)).toMatch(/^HTTP\/1\.1 400 /);
  },
);

test("the socket is open to its owner and group only; a stale one is taken over, one that is served is not", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "tsubo-http-"));
  const socketPath = path.join(folder, "below/api.sock");
  const first = await openOn(`unix://${socketPath}`);
  expect(statSync(socketPath).mode & 0o777).toBe(0o660);
  await expect(openOn(`unix://${socketPath}`)).rejects.toThrow("another daemon already serves it");
  // A second name keeps the socket's file when its server is gone, as a crash does.
  linkSync(socketPath, path.join(folder, "stale.sock"));
  await first[Symbol.asyncDispose]();
  expect(existsSync(socketPath)).toBe(false);
  const second = await openOn(`unix://${folder}/stale.sock`);
  await second[Symbol.asyncDispose]();
  writeFileSync(path.join(folder, "file"), "");
  await expect(openOn(`unix://${folder}/file`)).rejects.toThrow("is not a socket");
  rmSync(folder, { recursive: true });
});

test("several hosts at once, or none", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "tsubo-http-"));
  await using server = await openOn(`unix://${folder}/a.sock`, "tcp://127.0.0.1:0");
  const port = portOf(server);
  expect((await fetch(`http://127.0.0.1:${port}/_ping`)).status).toBe(200);
  await expect(openOn(`unix://${folder}/b.sock`, `tcp://127.0.0.1:${port}`)).rejects.toThrow("EADDRINUSE");
  expect(existsSync(path.join(folder, "b.sock"))).toBe(false);
  rmSync(folder, { recursive: true });
});

test.each([
  ["Host: localhost", 200],
  ["Host: 127.0.0.1:2375", 200],
  ["Host: [::1]:2375", 200],
  ["Host: docker:2375", 200],
  ["Host: evil.example", 403],
  ["Host: localhost\r\nOrigin: http://evil", 403],
  ["Host: localhost\r\nOrigin: null", 403],
])("over TCP a request with %j is answered %d: web pages stay outside", async (headers, status) => {
  await using server = await openOn("tcp://127.0.0.1:0");
  const client = await openRawClient({ host: "127.0.0.1", port: portOf(server) });
  client.socket.write(`GET /_ping HTTP/1.1\r\n${headers}\r\nConnection: close\r\n\r\n`);
  const answer = await client.untilEnd();
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  expect(answer).not.toMatch(/access-control/i);
});

test.each(["tcp://127.0.0.1:99999", "http://x", "unix://relative", "tcp://a b:1"])("the host %s is refused", async (host) => {
  await expect(openOn(host)).rejects.toThrow("unable to parse the host");
});

function openOn(...hosts: string[]): Promise<HttpServer> {
  return openHttp({ hosts, engine: makeEngine({}), version: "1", log: pino({ level: "silent" }) });
}

function portOf(server: HttpServer): number {
  const host = server.hosts.find(({ kind }) => kind === "tcp");
  if (host?.kind !== "tcp") throw new Error("it does not listen on TCP");
  return host.port;
}

test("an answer that comes before the body has is not lost on a client that sends it all", async () => {
  await using server = await openTestServer({});
  const client = await server.connect();
  const body = Buffer.alloc(8 * 1024 * 1024);
  client.socket.write(`POST /nosuch HTTP/1.1\r\nHost: docker\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`);
  await client.until('{"message":"page not found"}');
  const sent = new Promise<Error | null | undefined>((resolve) => client.socket.write(body, resolve));
  expect(await sent).toBeFalsy();
  expect(await client.untilEnd()).toMatch(/^HTTP\/1\.1 404 Not Found/);
});
