import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { hasDockerCli } from "../src/testing/daemon.ts";
import { useDaemon } from "./harness.ts";
import { missingTools, openDebianRegistry, usePlace } from "./images/place.ts";
import { removeImages } from "./images/pulls.ts";

/** Images of a registry under builds: as cache (`--cache-from`), and as bases. */

const missing = missingTools("docker-registry", "openssl", "htpasswd", "curl");

describe.skipIf(missing.length > 0 || !hasDockerCli())("with a registry", () => {
  const daemon = useDaemon();
  const place = usePlace();
  let registry: Awaited<ReturnType<typeof openDebianRegistry>>;

  beforeAll(async () => {
    registry = await openDebianRegistry(place, { closed: true });
    await daemon().dockerOk("login", "-u", "u", "-p", "p", registry.host);
  });
  afterEach(async () => {
    await removeImages(daemon());
    await daemon().dockerOk("builder", "prune", "-af");
  });
  afterAll(() => registry[Symbol.asyncDispose]());

  async function build(dockerfile: string, ...args: string[]): Promise<string> {
    const context = place.file("context");
    mkdirSync(context, { recursive: true });
    writeFileSync(path.join(context, "Dockerfile"), dockerfile);
    const { code, stdout, stderr } = await daemon().run([daemon().pathOf("docker"), "build", ...args, context], {
      env: { DOCKER_BUILDKIT: "0" },
    });
    if (code !== 0) throw new Error(stdout + stderr);
    return stdout;
  }

  const cached = (text: string): number => text.match(/Using cache/g)?.length ?? 0;
  const idOf = (name: string): Promise<string> => daemon().dockerOk("inspect", "-f", "{{.Id}}", name);

  /** Builds an image, pushes it, and forgets all of it but in the registry; its name. */
  async function pushed(name: string, dockerfile: string): Promise<string> {
    const reference = `${registry.host}/${name}`;
    await build(dockerfile, "-t", reference);
    await daemon().dockerOk("push", "-q", reference);
    await removeImages(daemon());
    await daemon().dockerOk("builder", "prune", "-af");
    return reference;
  }

  const STEPS = "FROM busybox\nENV A=1\nRUN echo one > /one\nWORKDIR /w\nRUN echo two > two\n";

  test("a pulled image is cache for those who name it, and what is made on the way goes with it", async () => {
    const name = await pushed("whole", STEPS);
    await daemon().dockerOk("pull", "-q", name);
    const id = await idOf(name);
    expect(cached(await build(STEPS, "-t", "without", "--no-cache"))).toBe(0);
    await daemon().dockerOk("rmi", "without");

    expect(cached(await build(STEPS, "-t", "again", "--cache-from", name))).toBe(4);
    expect(await idOf("again")).toBe(id);
    expect((await daemon().dockerOk("images", "-q", "--filter", "dangling=true")).trim()).toBe("");
    expect(cached(await build(STEPS, "-t", "again", "--cache-from", name))).toBe(4);
    // Nobody else has to trust it.
    expect(cached(await build(STEPS, "-t", "other"))).toBe(0);
    await daemon().dockerOk("rmi", "other", "again", name);
    expect((await daemon().dockerOk("images", "-aq")).split("\n")).toHaveLength(1);
  });

  test("a hit in the middle gives the image on the way; what is changed and what follows is built", async () => {
    const name = await pushed("part", STEPS);
    await daemon().dockerOk("pull", "-q", name);
    const changed = STEPS.replace("echo two", "echo other");
    expect(cached(await build(changed, "-t", "changed", "--cache-from", name))).toBe(3);
    expect(await daemon().dockerOk("run", "--rm", "changed", "cat", "/one", "/w/two")).toBe("one\nother");
    expect(await daemon().dockerOk("inspect", "-f", "{{.Config.WorkingDir}} {{.Config.Env}}", "changed")).toMatch(/^\/w .*A=1/);
    const [ours, theirs] = await Promise.all(
      ["changed", name].map(async (one) => (await daemon().dockerOk("inspect", "-f", '{{join .RootFS.Layers " "}}', one)).split(" ")),
    );
    expect(ours?.slice(0, -1)).toEqual(theirs?.slice(0, -1));

    const shorter = STEPS.split("\n").slice(0, 3).join("\n");
    expect(cached(await build(shorter, "-t", "shorter", "--cache-from", name))).toBe(2);
    expect(await daemon().dockerOk("run", "--rm", "shorter", "sh", "-c", "echo $A; cat /one")).toBe("1\none");
    expect(cached(await build(STEPS.replace("A=1", "A=2"), "-t", "no", "--cache-from", name))).toBe(0);
  });

  test("with --cache-from only what is part of the image named counts; a name that is not here is no error", async () => {
    const name = await pushed("old", STEPS);
    // Each time it runs it comes to something else, and what follows does not.
    const steps = "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /id\nWORKDIR /w\nCMD sh\n";
    await build(steps, "-t", "local");
    expect(cached(await build(steps, "--cache-from", "local", "-t", "local"))).toBe(3);
    expect(cached(await build(steps, "--cache-from", name, "-t", "again"))).toBe(0);
    const ids = await Promise.all(["local", "again"].map((image) => daemon().dockerOk("run", "--rm", image, "cat", "/id")));
    expect(new Set(ids).size).toBe(2);
  });

  test("a step that says more than the history is not taken", async () => {
    const steps = "FROM busybox\nRUN --network=none echo one > /one\n";
    const name = await pushed("told", steps);
    await daemon().dockerOk("pull", "-q", name);
    expect(cached(await build(steps, "-t", "x", "--cache-from", name))).toBe(0);
  });

  test("a base is found by digest and by the beginning of its id; --pull brings a newer one, with the user's credentials", async () => {
    const name = await pushed("base", "FROM busybox\nRUN echo old > /version\n");
    const show = "\nRUN cat /version\n";
    expect(await build(`FROM ${name}${show}`, "-t", "first")).toContain("\nold\n");
    const digest = (await daemon().dockerOk("inspect", "-f", "{{index .RepoDigests 0}}", name)).split("@")[1] ?? "";
    const prefix = (await idOf(name)).slice("sha256:".length, "sha256:".length + 12);

    await build("FROM busybox\nRUN echo new > /version\n", "-t", "newer");
    await daemon().dockerOk("tag", "newer", `${registry.host}/base`);
    await daemon().dockerOk("push", "-q", `${registry.host}/base`);
    await daemon().dockerOk("rmi", "newer", `${registry.host}/base`);
    await daemon().dockerOk("pull", "-q", `${registry.host}/base@${digest}`);
    await daemon().dockerOk("tag", prefix, `${registry.host}/base`);

    expect(await build(`FROM ${name}${show}`, "--no-cache")).toContain("\nold\n");
    expect(await build(`FROM ${prefix}${show}`, "--no-cache")).toContain("\nold\n");
    expect(await build(`FROM ${name}${show}`, "--pull")).toContain("\nnew\n");
    expect(await build(`FROM ${registry.host}/base@${digest}${show}`, "--no-cache")).toContain("\nold\n");
    await removeImages(daemon());
    expect(await build(`FROM ${registry.host}/base@${digest}${show}`, "--no-cache")).toContain("\nold\n");
    await daemon().dockerOk("logout", registry.host);
    await expect(build(`FROM ${name}${show}`, "--pull")).rejects.toThrow(/no basic auth credentials|unauthorized|authentication required/);
    await daemon().dockerOk("login", "-u", "u", "-p", "p", registry.host);
  });
});
