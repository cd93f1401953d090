import { expect, test } from "vitest";

import { useDaemon } from "./harness.ts";

/** `--link` on the default network: names, environment, exceptions where containers do not reach each other. */

const daemon = useDaemon();
const run = (...args: string[]): Promise<string> => daemon().dockerOk("run", "-d", ...args);
const inside = (name: string, ...command: string[]): Promise<string> => daemon().dockerOk("exec", name, ...command);

test("the other is found by its alias, and its environment and ports are told", async () => {
  await run("--name", "db", "--expose", "5432", "--expose", "53/udp", "-e", "COLOR=red", "busybox", "sleep", "1000");
  await run("--name", "app", "--link", "db:store-1", "--link", "db", "busybox", "sleep", "1000");
  const address = await daemon().dockerOk("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "db");
  const environment = (await inside("app", "env")).split("\n");
  expect(environment).toEqual(
    expect.arrayContaining([
      `STORE_1_PORT=udp://${address}:53`,
      `STORE_1_PORT_5432_TCP=tcp://${address}:5432`,
      `STORE_1_PORT_5432_TCP_ADDR=${address}`,
      "STORE_1_PORT_5432_TCP_PORT=5432",
      "STORE_1_PORT_5432_TCP_PROTO=tcp",
      "STORE_1_NAME=/app/store-1",
      "STORE_1_ENV_COLOR=red",
      "DB_NAME=/app/db",
    ]),
  );
  const hostname = await inside("db", "hostname");
  const hosts = await inside("app", "cat", "/etc/hosts");
  expect(hosts).toContain(`${address}\tstore-1 ${hostname} db\n`);
  expect(hosts).toContain(`${address}\tdb ${hostname}\n`);
  expect(await daemon().dockerOk("inspect", "-f", "{{json .HostConfig.Links}}", "app")).toBe('["/db:/app/store-1","/db:/app/db"]');
  expect((await daemon().dockerOk("ps", "--no-trunc", "--format", "{{.Names}}")).split("\n")).toEqual(["app", "app/db,app/store-1,db"]);
});

test("a new address of the other is told at once, also after the daemon was killed", async () => {
  await run("--name", "db", "busybox", "sleep", "1000");
  await run("--name", "app", "--link", "db:store", "busybox", "sleep", "1000");
  await inside("app", "sh", "-c", "echo 10.9.8.7 mine >> /etc/hosts");
  await daemon().dockerOk("stop", "-t", "0", "db");
  await run("--name", "takes-the-address", "busybox", "sleep", "1000");
  await daemon().kill();
  await daemon().start();
  await daemon().dockerOk("start", "db");
  const address = await daemon().dockerOk("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "db");
  const hosts = await inside("app", "cat", "/etc/hosts");
  expect(hosts).toMatch(new RegExp(`^${address}\tstore `, "m"));
  expect(hosts).toContain("10.9.8.7 mine");
  expect(hosts.match(/\tstore /g)).toHaveLength(1);
});

test("a container does not start before those it is linked to, nor without them", async () => {
  await run("--name", "db", "busybox", "sleep", "1000");
  await run("--name", "app", "--link", "db:store", "busybox", "sleep", "1000");
  await daemon().dockerOk("stop", "-t", "0", "app", "db");
  const refused = "Cannot link to a non running container: /db AS /app/store";
  expect((await daemon().docker("start", "app")).stderr).toContain(refused);
  await daemon().dockerOk("rm", "db");
  expect((await daemon().docker("start", "app")).stderr).toContain(refused);
});

test("a link can be removed", async () => {
  await run("--name", "db", "busybox", "sleep", "1000");
  await run("--name", "app", "--link", "db:store", "busybox", "sleep", "1000");
  await daemon().dockerOk("rm", "--link", "/app/store");
  expect(await daemon().dockerOk("inspect", "-f", "{{json .HostConfig.Links}}", "app")).toBe("null");
  expect((await daemon().docker("rm", "--link", "/app/store")).stderr).toContain("No such link: app/store");
  await daemon().dockerOk("stop", "-t", "0", "db", "app");
  await daemon().dockerOk("start", "app");
});

test.each([
  ["nobody:x", "could not get container for nobody"],
  ["a:b:c", "bad format for links: a:b:c"],
])("%s is refused", async (link, why) => {
  const { code, stderr } = await daemon().docker("run", "--rm", "--link", link, "busybox", "true");
  expect({ code, stderr }).toEqual({ code: 125, stderr: expect.stringContaining(why) });
});
