import { beforeEach, describe, expect, test } from "vitest";

import { useDaemon } from "../e2e/harness.ts";
import { readApiDescription } from "./swagger.ts";

/** Every answer of the real daemon has the shape that the API description gives it. */

const daemon = useDaemon();
const description = readApiDescription();

/** What the test that runs has found. */
let wrong: string[] = [];
beforeEach(() => (wrong = []));

/** Asks, holds the answer against the description, gives back what was answered. */
async function ask(method: string, route: string, filled: Record<string, string> = {}, body?: unknown, query = ""): Promise<unknown> {
  const target = route.replaceAll(/\{(\w+)\}/g, (_match, name: string) => encodeURIComponent(filled[name] ?? ""));
  const answer = await daemon().api(method, `/v1.50${target}${query}`, body);
  const value: unknown =
    answer.text === "" ? undefined : answer.headers["content-type"] === "application/json" ? answer.json() : answer.text;
  wrong.push(...description.check(method, route, answer.status, value).map((what) => `${method} ${target} ${answer.status}: ${what}`));
  return value;
}

/** `ask` has checked that the answer has one. */
const idOf = (value: unknown): string => String((value as { Id: unknown }).Id);

test("the daemon about itself", async () => {
  for (const route of ["/info", "/version", "/_ping", "/plugins", "/volumes", "/networks"]) await ask("GET", route);
  await ask("GET", "/networks/{id}", { id: "bridge" });
  await ask("GET", "/networks/{id}", { id: "nosuch" });
  await ask("GET", "/volumes/{name}", { name: "nosuch" });
  await ask("GET", "/services");
  await ask("POST", "/swarm/init", {}, {});
  expect(wrong).toEqual([]);
});

test("images", async () => {
  await ask("GET", "/images/json");
  await ask("GET", "/images/{name}/json", { name: "busybox" });
  await ask("GET", "/images/{name}/json", { name: "nosuch:tag" });
  await ask("GET", "/images/{name}/history", { name: "busybox" });
  await ask("POST", "/images/{name}/tag", { name: "busybox" }, undefined, "?repo=a/b&tag=c");
  await ask("DELETE", "/images/{name}", { name: "a/b:c" });
  await ask("DELETE", "/images/{name}", { name: "nosuch" });
  await ask("GET", "/images/json", {}, undefined, "?all=1&shared-size=1");
  await ask("GET", "/images/search", {}, undefined, "?term=127.0.0.1:1/x");
  await ask("GET", "/distribution/{name}/json", { name: "127.0.0.1:1/a" });
  await ask("POST", "/images/prune");
  await ask("GET", "/system/df");
  await ask("GET", "/system/df", {}, undefined, "?type=image");
  expect(wrong).toEqual([]);
});

describe("a container", () => {
  const name = "shown";
  const id = { id: name };

  test("in every state", async () => {
    await ask(
      "POST",
      "/containers/create",
      {},
      {
        Image: "busybox",
        Cmd: ["sleep", "1000"],
        Env: ["A=b"],
        Labels: { a: "b" },
        ExposedPorts: { "80/tcp": {} },
        HostConfig: {
          Memory: 64 * 1024 * 1024,
          PortBindings: { "80/tcp": [{ HostIp: "127.0.0.1", HostPort: "" }] },
          RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 },
          Tmpfs: { "/t": "" },
          Ulimits: [{ Name: "nofile", Soft: 100, Hard: 200 }],
        },
      },
      `?name=${name}`,
    );
    await ask("GET", "/containers/{id}/json", id);
    await ask("GET", "/containers/json", {}, undefined, "?all=1&size=1");
    for (const status of [204, 304]) {
      const answer = await daemon().api("POST", `/containers/${name}/start`);
      expect(answer.status).toBe(status);
    }
    await ask("GET", "/containers/{id}/json", id, undefined, "?size=1");
    await ask("GET", "/containers/json");
    await ask("GET", "/containers/{id}/top", id);
    await ask("GET", "/containers/{id}/changes", id);
    const made = idOf(await ask("POST", "/commit", {}, undefined, `?container=${name}&repo=made`));
    await ask("GET", "/images/{name}/history", { name: made });
    await ask("GET", "/system/df");
    await ask("DELETE", "/images/{name}", { name: "made" });
    const exec = { id: idOf(await ask("POST", "/containers/{id}/exec", id, { Cmd: ["true"], AttachStdout: true })) };
    await ask("GET", "/exec/{id}/json", exec);
    await ask("POST", "/exec/{id}/start", exec, { Detach: true });
    await ask("POST", "/exec/{id}/start", exec, { Detach: true });
    await ask("GET", "/exec/{id}/json", exec);
    await ask("POST", "/containers/{id}/pause", id);
    await ask("GET", "/containers/{id}/json", id);
    await ask("POST", "/containers/{id}/unpause", id);
    await ask("POST", "/containers/{id}/rename", id, undefined, "?name=shown2");
    await ask("POST", "/containers/{id}/rename", { id: "shown2" }, undefined, `?name=${name}`);
    await ask("POST", "/containers/{id}/stop", id, undefined, "?t=0");
    await ask("POST", "/containers/{id}/kill", id);
    await ask("POST", "/containers/{id}/wait", id);
    await ask("GET", "/containers/{id}/json", id);
    await ask("GET", "/containers/json", {}, undefined, "?all=1");
    await ask("POST", "/containers/prune");
    await ask("POST", "/containers/prune");
    await ask("GET", "/containers/{id}/json", id);
    await ask("DELETE", "/containers/{id}", id);
    expect(wrong).toEqual([]);
  });

  test("refused", async () => {
    await ask("POST", "/containers/create", {}, {});
    await ask("POST", "/containers/create", {}, { Image: "nosuch:1" });
    await ask("POST", "/containers/{id}/attach", { id: "nosuch" });
    await ask("GET", "/containers/{id}/logs", { id: "nosuch" }, undefined, "?stdout=1");
    await ask("POST", "/exec/{id}/start", { id: "nosuch" }, {});
    expect(wrong).toEqual([]);
  });
});

test("networks and volumes, with a container on them", async () => {
  const ipam = {
    Driver: "default",
    Config: [{ Subnet: "10.231.0.0/24", IPRange: "10.231.0.128/25", AuxiliaryAddresses: { a: "10.231.0.9" } }],
  };
  await ask(
    "POST",
    "/networks/create",
    {},
    { Name: "mine", IPAM: ipam, EnableIPv6: true, Labels: { a: "b" }, Options: { "com.docker.network.driver.mtu": "1400" } },
  );
  for (const body of [
    { Name: "mine" },
    { Name: "bridge" },
    { Name: "x", Driver: "nosuch" },
    { Name: "x", IPAM: { Config: [{ Subnet: "no" }] } },
  ])
    await ask("POST", "/networks/create", {}, body);
  await ask("POST", "/networks/create", {}, { Name: "other", Internal: true });
  await ask("POST", "/volumes/create", {}, { Name: "data", Labels: { a: "b" }, DriverOpts: { type: "tmpfs", device: "tmpfs" } });
  await ask("POST", "/volumes/create", {}, { Name: "data" });
  await ask("POST", "/volumes/create", {}, { Name: "a/b" });
  await ask(
    "POST",
    "/containers/create",
    {},
    {
      Image: "busybox",
      Cmd: ["sleep", "1000"],
      Volumes: { "/anonymous": {} },
      HostConfig: {
        NetworkMode: "mine",
        Binds: ["data:/data:ro"],
        Mounts: [{ Type: "volume", Source: "more", Target: "/more", VolumeOptions: { NoCopy: true } }],
      },
      NetworkingConfig: {
        EndpointsConfig: { mine: { Aliases: ["nick"], IPAMConfig: { IPv4Address: "10.231.0.200" } }, other: { GwPriority: 1 } },
      },
    },
    "?name=user",
  );
  const user = { id: "user" };
  await ask("GET", "/containers/{id}/json", user);
  await ask("POST", "/containers/{id}/start", user);
  await ask("GET", "/containers/{id}/json", user);
  await ask("GET", "/containers/json");
  for (const route of ["/networks", "/volumes", "/system/df"]) await ask("GET", route);
  await ask("GET", "/networks/{id}", { id: "mine" });
  await ask("GET", "/volumes/{name}", { name: "data" });
  await ask("POST", "/networks/{id}/disconnect", { id: "other" }, { Container: "user" });
  await ask("POST", "/networks/{id}/connect", { id: "other" }, { Container: "user", EndpointConfig: { Aliases: ["again"] } });
  await ask("POST", "/networks/{id}/connect", { id: "other" }, { Container: "user" });
  await ask("POST", "/networks/{id}/connect", { id: "nosuch" }, { Container: "user" });
  await ask("DELETE", "/networks/{id}", { id: "mine" });
  await ask("DELETE", "/networks/{id}", { id: "bridge" });
  await ask("DELETE", "/networks/{id}", { id: "nosuch" });
  await ask("DELETE", "/volumes/{name}", { name: "data" });
  await ask("DELETE", "/volumes/{name}", { name: "nosuch" });
  await ask("DELETE", "/containers/{id}", user, undefined, "?force=1");
  await ask("POST", "/volumes/prune", {}, undefined, `?filters=${encodeURIComponent('{"all":["true"]}')}`);
  await ask("POST", "/volumes/prune");
  await ask("DELETE", "/networks/{id}", { id: "other" });
  await ask("POST", "/networks/prune");
  await ask("POST", "/networks/prune");
  expect(wrong).toEqual([]);
});

test("events, a line each, in Docker's order", async () => {
  const begunMs = Date.now();
  await daemon().dockerOk("run", "--rm", "busybox", "true");
  const query = `?since=${begunMs / 1000}&until=${(Date.now() / 1000).toFixed(3)}`;
  const lines = (await daemon().api("GET", `/events${query}`)).text.trim().split("\n");
  // The shape is checked right below.
  const events = lines.map((line) => JSON.parse(line) as { Type: string; Action: string });
  expect(events.flatMap((event) => description.checkDefinition("EventMessage", event))).toEqual([]);
  expect(events.map(({ Type, Action }) => `${Type} ${Action}`)).toEqual([
    "container create",
    "container attach",
    "network connect",
    "container start",
    "container die",
    "network disconnect",
    "container destroy",
  ]);
});
