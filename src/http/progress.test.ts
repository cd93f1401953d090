import { expect, test } from "vitest";

import { EngineError } from "../base/errors.ts";
import type { Images } from "../engine/images/images.ts";
import { openTestServer, type TestServer } from "./fake-engine.ts";
import { drawBar, formatProgress } from "./progress.ts";

test.each([
  [0, 0, ""],
  [1500, 0, "   1.5kB"],
  [0, 3_400_000, `[>${" ".repeat(50)}]       0B/3.4MB`],
  [1_200_000, 3_400_000, `[${"=".repeat(17)}>${" ".repeat(33)}]    1.2MB/3.4MB`],
  [3_400_000, 3_400_000, `[${"=".repeat(50)}>]    3.4MB/3.4MB`],
  [2_212_345, 2_212_345, `[${"=".repeat(50)}>]  2.212MB/2.212MB`],
  [5, 4, `[${"=".repeat(50)}>]       5B`],
])("the bar for %d of %d", (current, total, bar) => {
  expect(drawBar(current, total)).toBe(bar);
});

test("lines are as Docker writes them: order, CRLF, <, > and & escaped", () => {
  expect(formatProgress({ id: "latest", status: "Pulling from a" })).toBe('{"status":"Pulling from a","id":"latest"}\r\n');
  expect(formatProgress({ id: "abc", status: "Pulling fs layer", progressDetail: {} })).toBe(
    '{"status":"Pulling fs layer","progressDetail":{},"id":"abc"}\r\n',
  );
  expect(formatProgress({ id: "abc", status: "Downloading", progressDetail: { current: 1, total: 2 } })).toBe(
    `{"status":"Downloading","progressDetail":{"current":1,"total":2},"progress":"[${"=".repeat(25)}\\u003e${" ".repeat(25)}]       1B/2B","id":"abc"}\r\n`,
  );
});

const pullVia = (server: TestServer, query: string, headers = ""): Promise<string> =>
  server.raw(`POST /images/create?${query} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n${headers}\r\n`);

test("a pull that fails before it has said anything has a status, one that fails later says so in the stream", async () => {
  let said = false;
  const pull: Images["pull"] = async (_request, progress) => {
    if (said) progress({ id: "1", status: "Pulling from a" });
    throw new EngineError("notFound", "manifest for a:1 not found: manifest unknown");
  };
  await using server = await openTestServer({ images: { pull } });
  expect(await pullVia(server, "fromImage=a&tag=1")).toMatch(
    /^HTTP\/1\.1 404 [^]*\{"message":"manifest for a:1 not found: manifest unknown"\}/,
  );
  said = true;
  const answer = await pullVia(server, "fromImage=a&tag=1");
  expect(answer).toMatch(/^HTTP\/1\.1 200 OK/);
  const message = "manifest for a:1 not found: manifest unknown";
  expect(answer).toContain(`{"errorDetail":{"message":"${message}"},"error":"${message}"}\r\n`);
});

const credentials = { username: "u", password: "p>?", serveraddress: "r.example" };
const encoded = Buffer.from(JSON.stringify(credentials));

test.each([
  ["fromImage=busybox&tag=1.36", "busybox:1.36"],
  ["fromImage=busybox:1.35&tag=1.36", "busybox:1.36"],
  ["fromImage=busybox:", "busybox"],
  ["fromImage=localhost:5000/a/b&tag=x", "localhost:5000/a/b:x"],
  [`fromImage=busybox&tag=sha256:${"a".repeat(64)}`, `busybox@sha256:${"a".repeat(64)}`],
])("%s asks for %s", async (query, reference) => {
  const seen: unknown[] = [];
  await using server = await openTestServer({ images: { pull: async (request) => void seen.push(request.reference) } });
  await pullVia(server, query);
  expect(seen).toEqual([reference]);
});

test.each([
  ["base64url", encoded.toString("base64url")],
  ["base64url, padded", `${encoded.toString("base64url")}${"=".repeat((4 - (encoded.toString("base64url").length % 4)) % 4)}`],
  ["base64", encoded.toString("base64")],
])("credentials are read from %s", async (_name, header) => {
  const seen: unknown[] = [];
  await using server = await openTestServer({ images: { pull: async (request) => void seen.push(request.auth) } });
  await pullVia(server, "fromImage=a", `X-Registry-Auth: ${header}\r\n`);
  expect(seen).toMatchObject([{ username: "u", password: "p>?", serverAddress: "r.example" }]);
});

test.each(["e30=", "%%%", "bm90anNvbg==", ""])("%j is no credentials and no error", async (header) => {
  const seen: unknown[] = [];
  await using server = await openTestServer({ images: { pull: async (request) => void seen.push(request.auth) } });
  expect(await pullVia(server, "fromImage=a", `X-Registry-Auth: ${header}\r\n`)).toMatch(/^HTTP\/1\.1 200 /);
  expect(seen).toEqual([undefined]);
});

test("an import whose tar is refused half-way is answered, and the connection lives on", async () => {
  const importImage: Images["import"] = async ({ tar }) => {
    if (tar instanceof URL) throw new Error("no URL was given");
    for await (const _chunk of tar) throw new EngineError("invalid", "this is no tar");
    throw new Error("there was no body");
  };
  await using server = await openTestServer({ images: { import: importImage } });
  const body = "x".repeat(3_000_000);
  const client = await server.connect();
  client.socket.write(`POST /images/create?fromSrc=- HTTP/1.1\r\nHost: d\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  expect(await client.until("no tar")).toMatch(/^HTTP\/1\.1 400 /);
  client.socket.write("GET /_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n");
  expect(await client.untilEnd()).toMatch(/\r\n\r\nOK$/);
});
