import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { zstdCompressSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { paths } from "../src/store/roots.ts";
import { tar } from "../src/testing/tar.ts";
import { useDaemon } from "./harness.ts";
import {
  BIG,
  dice,
  FILE,
  FIRST,
  FIRST_TAR,
  HOST_ARCHITECTURE,
  IMAGE,
  incompressible,
  makeImage,
  makeIndex,
  shortDigest,
  type Blob,
  type Document,
  type TestImage,
} from "./images/image.ts";
import { beginPull, imageTags, pull, removeImages } from "./images/pulls.ts";
import { breakOff, onBlob, onManifest, openScriptedRegistry, refuse, sendBlob, type ScriptedRegistry } from "./images/registry.ts";

/** Pulls that succeed in the end: broken off, shared, abandoned, of every kind of layer and platform, and with the daemon failing in the middle. */

const daemon = useDaemon({ flags: ["--max-download-attempts=2"] });
let registry: ScriptedRegistry;

beforeAll(async () => {
  registry = await openScriptedRegistry();
});
afterEach(async () => {
  registry.heal();
  await removeImages(daemon());
});
afterAll(async () => {
  await registry.close();
});

const another = makeImage([FILE], { config: { architecture: "s390x" } });

describe("a download that breaks off", () => {
  test("goes on where it stopped", async () => {
    const half = BIG.bytes.length >> 1;
    let isBroken = false;
    registry.script((request, response) => {
      if (isBroken || !request.path.endsWith(BIG.digest)) return false;
      isBroken = true;
      breakOff(response, BIG, BIG.bytes.subarray(0, half));
      return true;
    });
    const { error, lines } = await pull(daemon(), registry.put("image", IMAGE));
    expect(error).toBe("");
    expect(lines.join("\n")).toMatch(/^\w{12}: Retrying in 1 second$/m);
    const [, again] = registry.blobRequests(BIG);
    expect(again?.headers.range).toMatch(/^bytes=[1-9]\d*-$/);
  });

  test("begins again when the registry knows no ranges, or when the part was wrong", async () => {
    for (const part of [BIG.bytes.subarray(0, 1000), Buffer.alloc(1000)]) {
      registry.heal();
      let requests = 0;
      registry.script((request, response) => {
        if (!request.path.endsWith(BIG.digest)) return false;
        requests += 1;
        if (requests === 1) breakOff(response, BIG, part);
        else sendBlob(part[0] === 0 ? request : { ...request, headers: {} }, response, BIG.bytes);
        return true;
      });
      expect((await pull(daemon(), registry.put("image", IMAGE))).error).toBe("");
      await removeImages(daemon());
    }
  });

  test("is taken up by the next pull when its client went away", async () => {
    const reference = registry.put("image", IMAGE);
    const released = Promise.withResolvers<void>();
    registry.script(
      onBlob(BIG, (_request, response) => {
        response.writeHead(200, { "content-length": BIG.bytes.length });
        response.write(BIG.bytes.subarray(0, 100_000));
        response.on("close", () => released.resolve());
      }),
    );
    const first = beginPull(daemon(), reference);
    await expect.poll(() => registry.blobRequests(BIG).length).toBe(1);
    await expect.poll(() => arrivedBytes(BIG)).toBeGreaterThan(0);
    first.abandon();
    await released.promise;
    registry.heal();
    expect((await pull(daemon(), reference)).error).toBe("");
    expect(registry.blobRequests(BIG)[0]?.headers.range).toMatch(/^bytes=[1-9]\d*-$/);
  });
});

test("a child process that dies is replaced, and the download goes on", async () => {
  const gate = holdBlobs([BIG]);
  const running = beginPull(daemon(), registry.put("image", IMAGE));
  await expect.poll(() => gate.waiting()).toBe(1);
  // What is being unpacked is lost with its child.
  await expect.poll(() => running.lines().some((line) => line.endsWith("Pull complete"))).toBe(true);
  const children = unpackChildren();
  expect(children.length).toBeGreaterThan(0);
  for (const pid of children) process.kill(pid, "SIGKILL");
  gate.open();
  expect((await running.done).error).toBe("");
  expect(registry.blobRequests(BIG)).toHaveLength(2);
});

describe("pulls at the same time", () => {
  test("share each download, and one that goes away takes nothing from the other", async () => {
    const reference = registry.put("image", IMAGE);
    const gate = holdBlobs(IMAGE.layers);
    const pulls = [1, 2, 3].map(() => beginPull(daemon(), reference));
    await expect.poll(() => pulls.every((one) => one.lines().some((line) => line.includes("Pulling fs layer")))).toBe(true);
    await expect.poll(() => registry.blobRequests(BIG).length).toBe(1);
    // A folder for each layer of this image and of busybox: nobody unpacks for himself.
    expect(readdirSync(paths.layers(daemon().roots))).toHaveLength(IMAGE.layers.length + 1);
    pulls[0]?.abandon();
    gate.open();
    for (const one of pulls.slice(1)) {
      const { error, lines } = await one.done;
      expect(error).toBe("");
      expect(lines.filter((line) => line.endsWith("Pull complete"))).toHaveLength(2);
    }
    expect([FIRST, BIG].map((blob) => registry.blobRequests(blob).length)).toEqual([1, 1]);
  });

  test("do without each other's failures", async () => {
    const gate = holdBlobs(IMAGE.layers);
    const failing = registry.put("failing", IMAGE);
    const first = beginPull(daemon(), failing);
    await expect.poll(() => gate.waiting()).toBe(2);
    const second = beginPull(daemon(), registry.put("working", IMAGE));
    await expect.poll(() => second.lines().some((line) => line.includes("Pulling fs layer"))).toBe(true);
    registry.script((request, response) => {
      const isFailing = request.path.includes("/failing/blobs/");
      if (isFailing) refuse(response, 403, "DENIED");
      return isFailing;
    });
    gate.breakOff();
    expect((await first.done).error).toContain("pull access denied");
    expect((await second.done).error).toBe("");
  });

  test("may be abandoned, repeated and undone at any moment", async () => {
    const tars = [0, 1, 2, 3, 4].map((layer) => tar({ name: `file${layer}`, content: incompressible(50_000 + layer) }));
    const image = (...layers: number[]): TestImage => makeImage(layers.map((layer) => tars[layer] ?? FILE));
    const images = [image(0, 1, 2), image(0, 1, 3), image(1, 0, 2), image(0, 1, 2, 3, 4), image(2), image(0, 0, 4)];
    const references = images.map((one, index) => registry.put(`image${index}`, one));
    const random = dice();
    const errors: string[] = [];
    const work = async (): Promise<void> => {
      for (let step = 0; step < 60; step += 1) {
        const reference = references[random(references.length)] ?? "";
        const what = random(4);
        if (what === 0) {
          await daemon().api("DELETE", `/images/${reference}`);
          continue;
        }
        const running = beginPull(daemon(), reference);
        const abandoned = what === 1 ? new Promise((resolve) => setTimeout(resolve, random(100))).then(() => running.abandon()) : undefined;
        const outcome = await running.done.catch(() => undefined);
        await abandoned;
        if (what !== 1) errors.push(outcome?.error ?? "the daemon is gone");
      }
    };
    await Promise.all(Array.from({ length: 5 }, work));
    expect(errors.filter((error) => error !== "")).toEqual([]);
    for (const reference of references) expect((await pull(daemon(), reference)).error).toBe("");
  });

  test("have three downloads between them; the others wait", async () => {
    const layers = Array.from({ length: 5 }, (_, index) => tar({ name: `file${index}`, content: "x" }));
    const image = makeImage(layers);
    const gate = holdBlobs(image.layers);
    const running = beginPull(daemon(), registry.put("image", image));
    await expect.poll(() => gate.waiting()).toBe(3);
    expect(running.lines().filter((line) => line.endsWith("Waiting"))).toHaveLength(2);
    gate.open();
    expect((await running.done).error).toBe("");
  });
});

describe("what a pull says", () => {
  test("Docker's lines, in Docker's order", async () => {
    const reference = registry.put("image:1", IMAGE);
    const [first, big] = IMAGE.layers.map(shortDigest);
    const digest = `Digest: ${IMAGE.manifest.digest}`;
    const { lines } = await pull(daemon(), reference);
    expect(lines.slice(0, 3)).toEqual(["1: Pulling from image", `${first}: Pulling fs layer`, `${big}: Pulling fs layer`]);
    for (const layer of [first, big]) {
      const said = lines.filter((line) => line.startsWith(`${layer}:`)).map((line) => line.slice(14));
      expect(said).toEqual(["Pulling fs layer", "Verifying Checksum", "Download complete", "Pull complete"]);
    }
    expect(lines.slice(-3)).toEqual([`${big}: Pull complete`, digest, `Status: Downloaded newer image for ${reference}`]);

    const again = await pull(daemon(), reference);
    expect(again.lines).toEqual(["1: Pulling from image", digest, `Status: Image is up to date for ${reference}`]);

    const next = makeImage([{ tar: FIRST_TAR, blob: FIRST.bytes }, FILE]);
    const { lines: upon } = await pull(daemon(), registry.put("image:2", next));
    expect(upon.filter((line) => line.startsWith(`${first}:`))).toEqual([`${first}: Already exists`]);
  });

  test("the CLI shows it, asks for all tags with -a, and for one digest", async () => {
    const other = makeImage([FILE]);
    const references = [registry.put("many:a", IMAGE), registry.put("many:b", other)];
    const name = `${registry.host}/many`;
    const shown = await daemon().dockerOk("pull", "-a", name);
    expect(shown).toContain(`Status: Downloaded newer image for ${name}`);
    expect(await imageTags(daemon())).toEqual([...references, "busybox:latest"]);
    await removeImages(daemon());

    const byDigest = `${name}@${IMAGE.manifest.digest}`;
    registry.script(onManifest((_request, response) => void response.end(another.manifest.bytes)));
    expect((await pull(daemon(), byDigest)).error).toBe(`500 manifest verification failed for digest ${IMAGE.manifest.digest}`);
    registry.heal();
    expect((await daemon().dockerOk("pull", byDigest)).split("\n")[0]).toBe(`${byDigest}: Pulling from many`);
    expect(await daemon().dockerOk("pull", "-q", byDigest)).toBe(byDigest);
    const inspected = await daemon().dockerOk(
      "image",
      "inspect",
      "-f",
      "{{.RepoTags}} {{.RepoDigests}} {{.Metadata.LastTagTime}}",
      byDigest,
    );
    expect(inspected).toBe(`[] [${byDigest}] 0001-01-01 00:00:00 +0000 UTC`);
  });
});

test("a registry may say as little as it likes", async () => {
  const blobs = [IMAGE.config, ...IMAGE.layers];
  registry.script((request, response) => {
    const blob = blobs.find(({ digest }) => request.path.endsWith(digest));
    if (request.method === "HEAD") response.writeHead(405).end();
    else if (request.path.includes("/manifests/")) response.end(IMAGE.manifest.bytes);
    else if (blob === undefined) return false;
    else {
      // In chunks, of a length that is not said.
      response.write(blob.bytes.subarray(0, 100));
      response.end(blob.bytes.subarray(100));
    }
    return true;
  });
  const { error, lines } = await pull(daemon(), registry.put("image", IMAGE));
  expect([error, lines.at(-2)]).toEqual(["", `Digest: ${IMAGE.manifest.digest}`]);
});

test("layers may be gzip, zstd or plain, the same twice, empty, or none at all", async () => {
  const entries = ["gzip", "zstd", "plain"].map((name) => tar({ name, content: name }));
  const [gzip = FILE, zstd = FILE, plain = FILE] = entries;
  const image = makeImage([
    gzip,
    { tar: zstd, blob: zstdCompressSync(zstd), mediaType: "application/vnd.oci.image.layer.v1.tar+zstd" },
    { tar: plain, blob: plain, mediaType: "application/vnd.oci.image.layer.v1.tar" },
    gzip,
    tar(),
  ]);
  const reference = registry.put("image", image);
  expect((await pull(daemon(), reference)).error).toBe("");
  expect(registry.blobRequests(image.layers[0]).length).toBe(1);
  expect(await daemon().dockerOk("image", "inspect", "-f", "{{len .RootFS.Layers}} {{.Size}}", reference)).toBe("5 17");

  const bare = registry.put("bare", makeImage([]));
  expect((await pull(daemon(), bare)).error).toBe("");
  expect((await daemon().docker("run", "--rm", bare, "x")).code).toBe(127);
});

test("a layer that others may not hand on comes from its registry, and its URLs are not followed", async () => {
  const mediaType = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip";
  const [layer] = makeImage([FILE]).layers as [Blob];
  const elsewhere = { mediaType, digest: layer.digest, size: layer.bytes.length, urls: [`http://${registry.host}/elsewhere`] };
  const image = makeImage([FILE], { manifest: { layers: [elsewhere] } });
  expect((await pull(daemon(), registry.put("image", image))).error).toBe("");
  expect(registry.blobRequests(layer)).toHaveLength(1);
  expect(registry.requests.map(({ path: asked }) => asked)).not.toContain("/elsewhere");
});

test("as many layers as an image may have run as one tree", async () => {
  const shell = tar(
    { name: "bin", type: "directory" },
    { name: "bin/sh", mode: 0o755, content: readFileSync("/bin/busybox") },
    { name: "bin/cat", type: "symlink", link: "sh" },
  );
  const layers = Array.from({ length: 126 }, (_, layer) =>
    tar({ name: "top", content: `${layer}` }, { name: `file${layer}`, content: `${layer}\n` }),
  );
  const reference = registry.put("deep", makeImage([shell, ...layers]));
  expect((await pull(daemon(), reference)).error).toBe("");
  expect(await daemon().dockerOk("run", "--rm", reference, "/bin/sh", "-c", "cat /file0 /file77 /file125 /top")).toBe("0\n77\n125\n125");
});

describe("platforms", () => {
  const arm = makeImage([tar({ name: "arm", content: "x" })], { config: { architecture: "arm64" } });
  const inner = makeIndex([]);
  const entry = (architecture: string, of: TestImage, os = "linux"): { platform: Record<string, string>; of: TestImage["manifest"] } => ({
    platform: { os, architecture },
    of: of.manifest,
  });

  test("an index gives the one that fits, or the one asked for", async () => {
    const foreign = HOST_ARCHITECTURE === "arm64" ? "s390x" : "arm64";
    const index = makeIndex([entry("unknown", arm, "unknown"), entry(foreign, arm), entry(HOST_ARCHITECTURE, IMAGE)]);
    registry.put("multi", arm);
    const reference = registry.put("multi", IMAGE, index);
    const { lines } = await pull(daemon(), reference);
    expect(lines).toContain(`Digest: ${index.digest}`);
    expect(await daemon().dockerOk("image", "inspect", "-f", "{{.Id}}", reference)).toBe(IMAGE.id);
    await pull(daemon(), reference, { platform: `linux/${foreign}` });
    expect(await daemon().dockerOk("image", "inspect", "-f", "{{.Id}}", reference)).toBe(arm.id);
  });

  test("an image that came alone is taken with a warning", async () => {
    const reference = registry.put("foreign", IMAGE);
    for (const _time of ["first", "again"]) {
      const { error, lines } = await pull(daemon(), reference, { platform: "linux/s390x" });
      expect([error, lines.at(-1)]).toEqual([
        "",
        `WARNING: image with reference ${reference} was found but its platform (linux/${HOST_ARCHITECTURE}) does not match the specified platform (linux/s390x)`,
      ]);
    }
  });

  test.each<[string, TestImage, Document[], string | undefined, RegExp]>([
    [
      "an index without ours",
      arm,
      [makeIndex([entry("s390x", arm)])],
      undefined,
      new RegExp(`^404 no matching manifest for linux/${HOST_ARCHITECTURE}\\S* in the manifest list entries$`),
    ],
    [
      "an index inside an index",
      arm,
      [inner, makeIndex([{ platform: { os: "linux", architecture: HOST_ARCHITECTURE }, of: inner }])],
      undefined,
      /^400 invalid manifest: sha256:\w+ of \S+ is an index inside an index$/,
    ],
    ["no platform", IMAGE, [], "linux/", /^400 "" is an invalid component of "linux\/": platform specifier component must match/],
    ["an unknown word", IMAGE, [], "lunix", /^400 "lunix": unknown operating system or architecture: invalid argument$/],
  ])("%s is refused", async (_what, image, indexes, platform, message) => {
    const reference = registry.put("foreign", image, ...indexes);
    expect((await pull(daemon(), reference, platform === undefined ? {} : { platform })).error).toMatch(message);
  });
});

describe.each(["images.pull.staged", "images.pull.unpacked", "images.pull.layers"])("the daemon fails at %s", (step) => {
  test.each(["error", "crash"])("by %s: the image is not there, and the next pull brings it", async (how) => {
    const reference = registry.put("image", IMAGE);
    await daemon().stop();
    await daemon().start({ failpoints: `${step}=${how}` });
    const said = await pull(daemon(), reference).then(
      ({ error }) => error,
      () => "the daemon is gone",
    );
    expect(said).toContain(how === "error" ? step : "the daemon is gone");
    await daemon().kill();
    await daemon().start();
    expect(await imageTags(daemon())).toEqual(["busybox:latest"]);
    expect((await pull(daemon(), reference)).error).toBe("");
  });
});

/** Holds these blobs back until it is opened. */
function holdBlobs(blobs: Blob[]): { waiting: () => number; open: () => void; breakOff: () => void } {
  const held: { send: () => void; breakOff: () => void }[] = [];
  let isOpen = false;
  registry.script((request, response) => {
    const blob = blobs.find(({ digest }) => request.path.endsWith(digest));
    if (blob === undefined || isOpen) return false;
    held.push({ send: () => sendBlob(request, response, blob.bytes), breakOff: () => response.destroy() });
    return true;
  });
  return {
    waiting: () => held.length,
    open() {
      isOpen = true;
      for (const { send } of held) send();
    },
    breakOff() {
      isOpen = true;
      for (const one of held) one.breakOff();
    },
  };
}

/** The daemon's children for work on strangers' data. */
function unpackChildren(): number[] {
  const parent = new RegExp(`^PPid:\\t${daemon().pid()}$`, "m");
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  const children = pids.filter((pid) => parent.test(readOrNothing(`/proc/${pid}/status`)));
  return children.filter((pid) => readOrNothing(`/proc/${pid}/cmdline`).includes("tsubo-unpack")).map(Number);
}

/** A process may end while it is looked at. */
function readOrNothing(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

/** How much of a blob the daemon has so far. */
function arrivedBytes({ digest }: Blob): number {
  const partial = path.join(paths.partialBlobs(daemon().roots), digest.slice("sha256:".length));
  return statSync(partial, { throwIfNoEntry: false })?.size ?? 0;
}
