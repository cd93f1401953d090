import { mkdtempSync, rmSync, statSync } from "node:fs";
import { connect, createServer } from "node:net";
import path from "node:path";

import { afterAll, beforeAll, expect, test } from "vitest";

import { lendAgent } from "./ssh-agent.ts";

let folder: string;

beforeAll(() => {
  folder = mkdtempSync("/tmp/tsubo-agent-");
});
afterAll(() => rmSync(folder, { recursive: true }));

test("what is asked reaches the agent, and its answer comes back, until the loan ends", async () => {
  const own = path.join(folder, "own");
  const lent = path.join(folder, "lent");
  const agent = createServer((socket) => socket.on("data", (asked) => socket.write(`answer to ${asked.toString()}`)));
  await new Promise<void>((resolve) => agent.listen(own, resolve));
  const loan = await lendAgent(own, lent, { user: process.getuid?.() ?? 0, group: process.getgid?.() ?? 0, mode: 0o600 });
  expect(statSync(lent).mode & 0o777).toBe(0o600);
  const client = connect(lent);
  client.write("a question");
  expect(String(await new Promise((resolve) => client.once("data", resolve)))).toBe("answer to a question");
  const gone = new Promise((resolve) => client.once("close", resolve));
  await loan[Symbol.asyncDispose]();
  await gone;
  agent.close();
});

test("a file that is no socket is no agent", async () => {
  const owner = { user: 0, group: 0, mode: 0o600 };
  await expect(lendAgent(folder, path.join(folder, "x"), owner)).rejects.toThrow("there is no socket");
  await expect(lendAgent("/nowhere", path.join(folder, "x"), owner)).rejects.toThrow("there is no socket");
});
