import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { hasDockerCli } from "../src/testing/daemon.ts";
import { tar } from "../src/testing/tar.ts";
import { expectSame, expectSameStory } from "./cli/compare.ts";
import { converseInTerminal } from "./cli/process.ts";
import { screenOf } from "./cli/screen.ts";
import { useDaemon } from "./harness.ts";
import { makeImage } from "./images/image.ts";
import { removeImages } from "./images/pulls.ts";
import { openScriptedRegistry, refuse, type ScriptedRegistry } from "./images/registry.ts";

/** `docker` and `tsubo` between a registry and the engine: what they say while images come, and how they log in. */

const daemon = useDaemon();
let registry: ScriptedRegistry;
let folder: string;

const LAYERS = [tar({ name: "one", content: "1" }), tar({ name: "two", content: "2".repeat(200_000) })];

beforeAll(async () => {
  registry = await openScriptedRegistry();
  folder = mkdtempSync("/tmp/tsubo-cli-registry-");
  registry.put("app:1", makeImage(LAYERS));
  registry.put("app:2", makeImage([tar({ name: "three", content: "3" })]));
});
beforeEach(({ skip }) => skip(!hasDockerCli(), "there is no docker on PATH to compare with"));
afterEach(async () => {
  registry.heal();
  await removeImages(daemon());
});
afterAll(async () => {
  await registry.close();
  rmSync(folder, { recursive: true });
});

test("pulls tell the same, piped, quiet, all tags, and what fails", async () => {
  const app = `${registry.host}/app`;
  await expectSameStory(daemon(), [
    // Layers come side by side: their lines have no order.
    `$CLI pull ${app}:1 | sort`,
    `$CLI pull ${app}:1`,
    `$CLI pull -q ${app}:2`,
    `$CLI rmi -f ${app}:1 ${app}:2 | grep -c .`,
    `$CLI pull -a ${app} | grep -v :.Pull | grep -v 'Download\\|Verifying\\|Waiting\\|Extracting'`,
    `$CLI rmi -f ${app}:1 ${app}:2 | grep -c .`,
    `$CLI pull -q ${app}:1 && $CLI rmi ${app}:1 | grep -c .`,
  ]);
  await expectSame(daemon(), [
    `$CLI pull ${app}:nope`,
    `$CLI pull ${registry.host}/nope`,
    `$CLI pull --platform linux/s390x ${app}:1`,
    `$CLI pull 127.0.0.1:1/app`,
    `$CLI run --rm ${registry.host}/nope`,
    `$CLI run --pull never ${app}:1`,
    `$CLI create --pull always ${registry.host}/nope`,
  ]);
});

test("pushes tell the same, piped, quiet, all tags, again, and what fails", async () => {
  const app = `${registry.host}/$N`;
  await expectSameStory(daemon(), [
    // What one of them pushed is no layer of the other's.
    `cd ${folder} && echo $N >name && printf 'FROM scratch\\nCOPY name /a\\nCOPY name /b\\n' >Dockerfile && $CLI build -q -t ${app}:1 -t ${app}:2 -t ${app} . | grep -c sha256`,
    // Layers go side by side: their lines have no order but that of what they say.
    `$CLI push ${app}:1 | sort -t: -k2`,
    `$CLI push ${app}:1 | sort -t: -k2`,
    `$CLI push -q ${app}:1`,
    `$CLI push ${app} | sort -t: -k2`,
    `$CLI push -a ${app} | sort -t: -k2`,
    `$CLI image push -aq ${app}`,
    `$CLI push ${app}:nope`,
    `$CLI push 127.0.0.1:1/$N`,
    `$CLI tag ${app}:1 127.0.0.1:1/$N && $CLI push 127.0.0.1:1/$N; $CLI rmi 127.0.0.1:1/$N`,
    `$CLI rmi ${app}:1 ${app}:2 ${app} | grep -c . && $CLI pull -q ${app}:2 && $CLI inspect -f '{{len .RootFS.Layers}}' ${app}:2`,
    `$CLI rmi -f ${app}:2 | grep -c .`,
  ]);
});

test("a build is pushed by all its names", async () => {
  const names = [`${registry.host}/built:1`, `${registry.host}/built:2`];
  writeFileSync(`${folder}/Dockerfile`, "FROM busybox\nCMD echo built and pushed\n");
  const built = await daemon().tsuboOk("build", "--load", "--provenance=false", "--push", ...names.flatMap((name) => ["-t", name]), folder);
  expect(built.match(/^\d: digest: sha256:[0-9a-f]{64}/gm)).toHaveLength(2);
  await daemon().dockerOk("rmi", ...names);
  expect(await daemon().dockerOk("run", "--rm", "-q", names[1] ?? "")).toBe("built and pushed");
  expect(await daemon().tsubo("build", "--push", folder)).toMatchObject({ code: 1, stderr: "tag is needed when pushing to registry\n" });
});

test("a pull in a terminal leaves the same screen", async () => {
  for (const program of ["docker", "tsubo"] as const) {
    // Its own layers: those of an image that was removed may still be there.
    const reference = registry.put(
      "bars:1",
      makeImage([tar({ name: program, content: "1" }), tar({ name: program, content: "2".repeat(200_000) })]),
    );
    const terminal = converseInTerminal(`${daemon().pathOf(program)} pull ${reference}`, { DOCKER_HOST: `unix://${daemon().socketPath}` });
    expect(await terminal.ended()).toBe(0);
    const screen = screenOf(terminal.said)
      .replaceAll(/\b[0-9a-f]{64}\b/g, "<digest>")
      .replaceAll(/\b[0-9a-f]{12}\b/g, "<layer>");
    const layers = "<layer>: Pull complete\n".repeat(2);
    expect([program, screen]).toEqual([
      program,
      `1: Pulling from bars\n${layers}Digest: sha256:<digest>\nStatus: Downloaded newer image for ${reference}\n${reference}\n`,
    ]);
  }
});

test("a push in a terminal leaves the same screen", async () => {
  for (const program of ["docker", "tsubo"] as const) {
    const reference = `${registry.host}/bars/${program}:1`;
    await daemon().run([
      "sh",
      "-c",
      `head -c 300000 /dev/urandom >${folder}/random && tar -C ${folder} -c random | docker import - ${reference}`,
    ]);
    const terminal = converseInTerminal(`${daemon().pathOf(program)} push ${reference}`, { DOCKER_HOST: `unix://${daemon().socketPath}` });
    expect(await terminal.ended()).toBe(0);
    const screen = screenOf(terminal.said)
      .replaceAll(/\b[0-9a-f]{64}\b/g, "<digest>")
      .replaceAll(/\b[0-9a-f]{12}\b/g, "<layer>")
      .replaceAll(/size: \d+/g, "size: <size>");
    expect([program, screen]).toEqual([
      program,
      `The push refers to repository [${registry.host}/bars/${program}]\n<layer>: Pushed\n1: digest: sha256:<digest> size: <size>\n`,
    ]);
  }
});

test("a load in a terminal leaves the same screen", async () => {
  const screens: string[] = [];
  const archive = `${folder}/loaded.tar`;
  const make = `head -c 3000000 /dev/urandom >random && tar -c random | docker import - loaded:1 && docker save -o ${archive} loaded:1`;
  await daemon().run(["sh", "-ec", `cd ${folder} && ${make}`]);
  for (const program of ["docker", "tsubo"] as const) {
    await daemon().dockerOk("rmi", "loaded:1");
    const terminal = converseInTerminal(`${daemon().pathOf(program)} load -i ${archive}`, { DOCKER_HOST: `unix://${daemon().socketPath}` });
    expect(await terminal.ended()).toBe(0);
    screens.push(screenOf(terminal.said));
  }
  expect(screens[1]).toBe(screens[0]);
  expect(screens[1]).toMatch(/\nLoaded image: loaded:1\n$/);
});

test("a search reads the same", async () => {
  const results = [
    { name: "official", description: "one\ntwo\rthree ".repeat(5), star_count: 1234, is_official: true },
    { name: "else/other", description: "", star_count: 0, is_official: false },
  ];
  registry.script(({ path: asked }, response) => {
    if (!asked.startsWith("/v1/search?")) return false;
    response.setHeader("content-type", "application/json").end(JSON.stringify({ num_results: 2, query: "x", results }));
    return true;
  });
  const flags = ["", "--no-trunc", "--format json", "--format '{{.Name}}: {{.IsOfficial}} {{.StarCount}}'", "--format '{{json .}}'"];
  const more = ["--format 'table {{.Name}}\\t{{.IsOfficial}}'", "--format '{{.Nope}}'", "-f is-official=true", "-f stars=x", "--limit 101"];
  await expectSame(
    daemon(),
    [...flags, ...more].map((each) => `$CLI search ${each} ${registry.host}/x`),
  );
});

test("a login is checked, stored, shown to its registry and forgotten", async () => {
  const right = `Basic ${Buffer.from("me:secret").toString("base64")}`;
  registry.script((request, response) => {
    if (request.headers.authorization === right) return false;
    refuse(response, 401, "UNAUTHORIZED", { "www-authenticate": 'Basic realm="test"' });
    return true;
  });
  const { host } = registry;
  const configFile = path.join(path.dirname(daemon().socketPath), "docker-config/config.json");
  await expectSameStory(daemon(), [
    `$CLI pull -q ${host}/app:1`,
    `echo wrong | $CLI login -u me --password-stdin ${host}`,
    `echo secret | $CLI login -u me --password-stdin ${host}`,
    `cat ${configFile}`,
    `$CLI login ${host}`,
    `$CLI pull -q ${host}/app:1 && $CLI rmi ${host}/app:1 | grep -c .`,
    `$CLI logout ${host}`,
    `$CLI pull -q ${host}/app:1`,
    `$CLI login -u me -p secret https://${host}/v2/ && $CLI logout ${host}`,
    `cat ${configFile}`,
  ]);
  rmSync(configFile);
});
