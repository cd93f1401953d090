import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { useDaemon } from "./harness.ts";
import { missingTools } from "./images/place.ts";

/** Debian's docker-compose, with a file of three tiers: each finds the next by its name, and no other. */

const FILE = `version: "3"
services:
  proxy:
    image: busybox
    command: sleep 1000
    depends_on: [app]
    stop_grace_period: 0s
    dns: 127.0.0.1
    networks: [front]
    ports: ["80"]
  app:
    image: busybox
    command: httpd -f -p 80 -h /www
    stop_grace_period: 0s
    networks: [front, back]
    volumes: ["pages:/www"]
  db:
    image: busybox
    command: sleep 1000
    stop_grace_period: 0s
    networks:
      back: {aliases: [store]}
networks: {front: {}, back: {internal: true}}
volumes: {pages: {}}
`;

const daemon = useDaemon();
let folder: string;
beforeAll(() => {
  folder = mkdtempSync("/tmp/tsubo-compose-");
  writeFileSync(path.join(folder, "three.yml"), FILE);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function compose(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon().run(["docker-compose", "-p", "three", "-f", path.join(folder, "three.yml"), ...args]);
  expect(code === 0 ? "" : stderr).toBe("");
  return stdout.trim();
}

/** How many addresses a name has for a service. */
async function lookUp(service: string, name: string): Promise<number> {
  const answer = await daemon().docker("exec", `three_${service}_1`, "nslookup", "-type=a", name);
  return [...answer.stdout.matchAll(/^Address: \d/gm)].length;
}

describe.skipIf(missingTools("docker-compose").length > 0)("three tiers", () => {
  test("find each other by name, scale, and keep their data over down and up", async () => {
    await compose("up", "-d");
    await compose("exec", "-T", "app", "sh", "-c", "echo kept > /www/page");
    const fetch = "wget -qO- http://$(nslookup -type=a app | sed -n 's/^Address: //p')/page";
    expect(await compose("exec", "-T", "proxy", "sh", "-c", fetch)).toBe("kept");
    expect([await lookUp("proxy", "db"), await lookUp("db", "proxy")]).toEqual([0, 0]);
    expect([await lookUp("app", "db"), await lookUp("app", "store"), await lookUp("db", "app"), await lookUp("app", "proxy")]).toEqual([
      1, 1, 1, 1,
    ]);

    await compose("up", "-d", "--scale", "db=3");
    expect(await lookUp("app", "db")).toBe(3);
    await daemon().kill();
    await daemon().start();
    expect(await lookUp("app", "db")).toBe(3);

    await compose("down");
    expect(await daemon().dockerOk("network", "ls", "-q", "--filter", "name=three")).toBe("");
    await compose("up", "-d");
    expect(await compose("exec", "-T", "proxy", "sh", "-c", fetch)).toBe("kept");
    await compose("down", "-v");
    expect(await daemon().dockerOk("volume", "ls", "-q")).toBe("");
  }, 120_000);
});
