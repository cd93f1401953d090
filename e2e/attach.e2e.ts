import { connect } from "node:net";
import { expect, test } from "vitest";

import { useDaemon } from "./harness.ts";
import { splitFrames } from "./keeper/streams.ts";

/** A client's connection is given to the keeper: nothing that is under way may get lost on the way, and nothing of it needs the daemon. */

const daemon = useDaemon();

const UPGRADE = "Host: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

async function makeContainer(name: string, config: Record<string, unknown>): Promise<void> {
  const made = await daemon().api("POST", `/containers/create?name=${name}`, {
    Image: "busybox",
    OpenStdin: true,
    StdinOnce: true,
    ...config,
  });
  expect(made.status).toBe(201);
}

/** All that comes over a connection on which `first` was sent at once. */
function exchange(first: string, options: { halfClose: boolean }): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: daemon().socketPath, allowHalfOpen: true });
    let received = "";
    socket.setEncoding("latin1");
    socket.on("data", (chunk: string) => (received += chunk));
    socket.on("end", () => {
      socket.end();
      resolve(received);
    });
    socket.on("error", reject);
    socket.write(first);
    if (options.halfClose) socket.end();
  });
}

test("stdin that comes in one packet with the request, and its end, reach the container", async () => {
  await makeContainer("reader", { Cmd: ["cat"] });
  const request = `POST /containers/reader/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\n${UPGRADE}`;
  const talk = exchange(`${request}GET / HTTP/1.1\r\n\r\n`, { halfClose: true });
  await expect.poll(async () => (await daemon().api("POST", "/containers/reader/start")).status).toBe(204);
  expect(await talk).toMatch(/^HTTP\/1\.1 101 UPGRADED\r\n[^]*\r\n\r\n\x01\0{6}\x12GET \/ HTTP\/1\.1\r\n\r\n$/);
});

test("a container that does not run: attach waits for it; one that is not there is an ordinary answer", async () => {
  const answer = await exchange(`POST /containers/nosuch/attach?stream=1&stdout=1 HTTP/1.1\r\n${UPGRADE}`, { halfClose: false });
  expect(answer).toMatch(/^HTTP\/1\.1 404 Not Found\r\n[^]*No such container: nosuch/);
});

test("an attached client loses nothing when the daemon is killed", async () => {
  await makeContainer("counter", { Cmd: ["sh", "-c", "read go; i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done; echo end"] });
  await daemon().api("POST", "/containers/counter/start");
  const socket = connect({ path: daemon().socketPath, allowHalfOpen: true });
  let received = "";
  socket.on("data", (chunk: Buffer) => (received += chunk.toString("latin1")));
  const ended = new Promise((resolve) => socket.on("end", resolve));
  socket.write(`POST /containers/counter/attach?stream=1&stdin=1&stdout=1 HTTP/1.1\r\n${UPGRADE}`);
  await expect.poll(() => received).toContain("101 UPGRADED");
  await daemon().kill();
  socket.write("go\n");
  await ended;
  socket.end();
  const lines = received.slice(received.indexOf("\r\n\r\n") + 4).replaceAll(/\x01\0\0\0[^]{4}/g, "");
  expect(lines).toBe(`${Array.from({ length: 2000 }, (_none, index) => `${index}\n`).join("")}end\n`);
  await daemon().start();
  expect(await daemon().dockerOk("wait", "counter")).toBe("0");
});

test("without a log, two streams at full speed reach a client that stops now and then, whole and in order", async () => {
  await makeContainer("talker", {
    Cmd: ["sh", "-c", "seq 300000 >&2 & seq 300000; wait"],
    OpenStdin: false,
    HostConfig: { LogConfig: { Type: "none" } },
  });
  const socket = connect({ path: daemon().socketPath, allowHalfOpen: true });
  socket.write(`POST /containers/talker/attach?stream=1&stdout=1&stderr=1 HTTP/1.1\r\n${UPGRADE}`);
  const chunks: Buffer[] = [];
  let sinceStop = 0;
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    sinceStop += chunk.length;
    if (sinceStop < 500_000) return;
    sinceStop = 0;
    socket.pause();
    setTimeout(() => socket.resume(), 20);
  });
  const ended = new Promise((resolve) => socket.on("end", resolve));
  await expect.poll(() => chunks.length).toBe(1);
  await daemon().api("POST", "/containers/talker/start");
  await ended;
  socket.end();
  const received = Buffer.concat(chunks);
  const frames = received.subarray(received.indexOf("\r\n\r\n") + 4);
  const expected = `${Array.from({ length: 300_000 }, (_none, index) => index + 1).join("\n")}\n`;
  const { stdout, stderr } = splitFrames(frames);
  expect(stdout === expected && stderr === expected).toBe(true);
});
