import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";

import { useDaemon } from "../e2e/harness.ts";
import { missingTools } from "../e2e/images/place.ts";

/** Debian's docker-compose, as it is, with three tiers that find each other by name and keep their data. */

const FILE = `
version: "2.4"
services:
  web:
    image: busybox
    command: httpd -f -p 80 -h /www
    ports: ["127.0.0.1::80"]
    volumes: ["site:/www"]
    networks: [front]
    stop_grace_period: 0s
    depends_on: [app]
  app:
    image: busybox
    command: sleep 1000
    stop_grace_period: 0s
    networks:
      front:
      back: {aliases: [service]}
    depends_on: [db]
  db:
    image: busybox
    command: sh -c "echo started >> /data/starts; sleep 1000"
    stop_grace_period: 0s
    volumes: ["data:/data"]
    networks: [back]
networks:
  front:
  back: {internal: true}
volumes:
  site:
  data:
`;

const missing = missingTools("docker-compose");
if (missing.length > 0) console.log(`skipped, since ${missing.join(" and ")} is not installed: docker-compose`);

const daemon = useDaemon();
let folder: string;
beforeAll(() => {
  folder = mkdtempSync("/tmp/tsubo-compose-");
  writeFileSync(path.join(folder, "docker-compose.yml"), FILE);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function compose(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon().run([
    "docker-compose",
    "-p",
    "tiers",
    "--project-directory",
    folder,
    "-f",
    path.join(folder, "docker-compose.yml"),
    ...args,
  ]);
  if (code !== 0) throw new Error(`docker-compose ${args.join(" ")}: ${stderr}`);
  return stdout;
}

/** The addresses that a container finds under a name. */
async function lookUp(container: string, name: string): Promise<string[]> {
  const { stdout } = await daemon().docker("exec", container, "nslookup", "-type=a", name, "127.0.0.11");
  return [...stdout.matchAll(/^Address: ([\d.]+)$/gm)].map(([, address]) => address ?? "");
}

test.skipIf(missing.length > 0)("three tiers", { timeout: 120_000 }, async () => {
  const dockerOk = (...args: string[]): Promise<string> => daemon().dockerOk(...args);
  await compose("up", "-d");
  const addressOn = (container: string, network: string): Promise<string> =>
    dockerOk("inspect", "-f", `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`, container);
  expect(await lookUp("tiers_web_1", "app")).toEqual([await addressOn("tiers_app_1", "tiers_front")]);
  expect(await lookUp("tiers_app_1", "db")).toEqual([await addressOn("tiers_db_1", "tiers_back")]);
  expect(await lookUp("tiers_db_1", "service")).toEqual([await addressOn("tiers_app_1", "tiers_back")]);
  expect(await lookUp("tiers_web_1", "db")).toEqual([]);

  await dockerOk("exec", "tiers_web_1", "sh", "-c", "echo hello > /www/page");
  const port = (await compose("port", "web", "80")).trim();
  const page = (): Promise<string> =>
    daemon()
      .run(["curl", "-s", "-m", "2", `http://${port}/page`])
      .then(({ stdout }) => stdout);
  await expect.poll(page).toBe("hello\n");

  await compose("up", "-d", "--scale", "app=3");
  expect(await lookUp("tiers_db_1", "service")).toHaveLength(3);

  await compose("down");
  expect(await dockerOk("network", "ls", "-q", "--filter", "type=custom")).toBe("");
  await compose("up", "-d");
  expect(await dockerOk("exec", "tiers_db_1", "cat", "/data/starts")).toBe("started\nstarted");
  await compose("down", "-v");
  expect(await dockerOk("volume", "ls", "-q")).toBe("");
});
