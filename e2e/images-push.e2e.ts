import { readdirSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { paths } from "../src/store/roots.ts";
import { tar } from "../src/testing/tar.ts";
import { useDaemon } from "./harness.ts";
import { BIG, incompressible, IMAGE, makeImage, type TestImage } from "./images/image.ts";
import { pull, removeImages } from "./images/pulls.ts";
import { beginPush, push } from "./images/pushes.ts";
import { openScriptedRegistry, refuse, type Script, type ScriptedRegistry, type SeenRequest } from "./images/registry.ts";

/** Pushes to registries that are well, limp, lie, refuse and break off. An image comes from one registry and goes to another. */

const daemon = useDaemon();
let source: ScriptedRegistry;
let registry: ScriptedRegistry;

beforeAll(async () => {
  source = await openScriptedRegistry();
  registry = await openScriptedRegistry();
});
afterEach(async () => {
  registry.heal();
  registry.empty();
  source.heal();
  await removeImages(daemon());
});
afterAll(async () => {
  await source.close();
  await registry.close();
});

/** Brings an image here, under a name of the registry that it is to be pushed to. */
async function bring(name = "image:1", image: TestImage = IMAGE): Promise<string> {
  const from = source.put("origin:1", image);
  expect((await pull(daemon(), from)).error).toBe("");
  const reference = `${registry.host}/${name}`;
  await daemon().dockerOk("tag", from, reference);
  await daemon().dockerOk("rmi", from);
  return reference;
}

const isPatch = ({ method }: SeenRequest): boolean => method === "PATCH";
const layerIds = (image: TestImage): string[] => diffIdsOf(image).map((diffId) => diffId.slice(7, 19));
const diffIdsOf = ({ config }: TestImage): string[] =>
  // The shape is that of image.ts.
  (JSON.parse(config.bytes.toString()) as { rootfs: { diff_ids: string[] } }).rootfs.diff_ids;

/** Does `script` for the first so many requests that `which` picks. */
function first(count: number, which: (request: SeenRequest) => boolean, script: Script): Script {
  let left = count;
  return (request, response) => {
    if (left === 0 || !which(request)) return false;
    left -= 1;
    return script(request, response);
  };
}

/** Of the first upload that is so long the registry takes some bytes, and then does something else than it should. */
function after(bytes: number, then: Script): Script {
  let isDone = false;
  return (request, response) => {
    if (isDone || !isPatch(request)) return false;
    const path = new URL(request.path, "http://registry").pathname;
    let isOver = false;
    request.incoming.on("data", (piece: Buffer) => {
      if (isOver) return;
      const taken = Buffer.concat([registry.uploads.get(path) ?? Buffer.alloc(0), piece]);
      isOver = !isDone && taken.length >= bytes;
      registry.uploads.set(path, isOver ? taken.subarray(0, bytes) : taken);
      if (!isOver) return;
      isDone = true;
      then(request, response);
    });
    request.incoming.on("end", () => isOver || accept(request, response, {}));
    return true;
  };
}

/** What was pushed is the same image when it is pulled back. */
async function expectPulledBack(reference: string, image: TestImage = IMAGE): Promise<void> {
  await daemon().dockerOk("rmi", "-f", reference);
  registry.heal();
  expect((await pull(daemon(), reference)).error).toBe("");
  expect(await daemon().dockerOk("image", "inspect", "-f", "{{.Id}}", reference)).toBe(image.id);
}

describe("a push", () => {
  test("tells Docker's lines in Docker's order, and leaves the digest with the image", async () => {
    const reference = await bring();
    const { lines, error } = await push(daemon(), reference);
    expect(error).toBe("");
    const [bottom, top] = layerIds(IMAGE);
    const manifest = registry.manifest("image:1");
    expect(lines.slice(0, 3)).toEqual([
      `The push refers to repository [${registry.host}/image]`,
      `${top}: Preparing`,
      `${bottom}: Preparing`,
    ]);
    expect(lines.slice(3, 5).toSorted()).toEqual([`${bottom}: Pushed`, `${top}: Pushed`].toSorted());
    expect(lines.slice(5)).toEqual([`1: digest: ${manifest?.digest} size: ${manifest?.bytes.length}`]);
    expect(await daemon().dockerOk("image", "inspect", "-f", "{{.RepoDigests}}", reference)).toBe(
      `[${registry.host}/image@${manifest?.digest}]`,
    );
    expect(manifest?.mediaType).toBe("application/vnd.docker.distribution.manifest.v2+json");
    await expectPulledBack(reference);
  });

  test("sends nothing that is there, and takes over what another repository has", async () => {
    const reference = await bring();
    await push(daemon(), reference);
    const uploads = (): number => registry.requests.filter(isPatch).length;
    const sent = uploads();
    const [bottom, top] = layerIds(IMAGE);
    const again = await push(daemon(), reference);
    expect(again.lines.filter((line) => line.includes("Layer")).toSorted()).toEqual(
      [`${bottom}: Layer already exists`, `${top}: Layer already exists`].toSorted(),
    );
    const other = `${registry.host}/team/other:2`;
    await daemon().dockerOk("tag", reference, other);
    const mounted = await push(daemon(), other);
    expect(mounted.lines.filter((line) => line.includes("Mounted")).toSorted()).toEqual(
      [`${bottom}: Mounted from image`, `${top}: Mounted from image`].toSorted(),
    );
    // Only the config, which is no layer, is sent once more.
    expect(uploads()).toBe(sent + 1);
    expect(registry.manifest("team/other:2")?.digest).toBe(registry.manifest("image:1")?.digest);
    await expectPulledBack(other);
  });

  test("compresses a layer once, also over a restart of the daemon, and forgets it with the layer", async () => {
    const packed = (): string[] => readdirSync(paths.packedLayers(daemon().roots));
    const reference = await bring();
    await push(daemon(), reference);
    const before = packed();
    expect(before.map((name) => `sha256:${name.split(".")[0]}`).toSorted()).toEqual(diffIdsOf(IMAGE).toSorted());
    registry.empty();
    await daemon().stop();
    await daemon().start();
    expect((await push(daemon(), reference)).error).toBe("");
    expect(packed()).toEqual(before);
    await removeImages(daemon());
    expect(packed()).toEqual([]);
  });

  test("makes anew what is damaged of the compressed layers", async () => {
    const reference = await bring();
    await push(daemon(), reference);
    const folder = paths.packedLayers(daemon().roots);
    for (const name of readdirSync(folder)) writeFileSync(`${folder}/${name}`, Buffer.alloc(BIG.bytes.length), { flag: "r+" });
    registry.empty();
    expect((await push(daemon(), reference)).error).toBe("");
    await expectPulledBack(reference);
  });

  test("of a layer that is there twice sends it once", async () => {
    const twice = tar({ name: "file", content: "twice" });
    const image = makeImage([twice, tar({ name: "other" }), twice]);
    const reference = await bring("image:1", image);
    const { lines } = await push(daemon(), reference);
    expect(lines.filter((line) => line.endsWith("Preparing"))).toHaveLength(2);
    await expectPulledBack(reference, image);
  });

  test("without a tag pushes all of a repository, and of two at once each layer once", async () => {
    const reference = await bring("many:1");
    const repository = reference.replace(/:1$/, "");
    for (const tag of ["2", "latest"]) await daemon().dockerOk("tag", reference, `${repository}:${tag}`);
    const [one, two] = await Promise.all([push(daemon(), repository), push(daemon(), reference)]);
    expect([one?.error, two?.error]).toEqual(["", ""]);
    expect(one?.lines.filter((line) => line.includes("digest:")).map((line) => line.split(":", 1)[0])).toEqual(["1", "2", "latest"]);
    // Two layers; each push may send the config.
    expect(registry.requests.filter(isPatch).length).toBeLessThanOrEqual(4);
  });

  test("waits for its turn", async () => {
    await daemon().stop();
    await daemon().start({ flags: ["--max-concurrent-uploads=1"] });
    const { lines } = await push(daemon(), await bring());
    expect(lines).toContain(`${layerIds(IMAGE)[0]}: Waiting`);
    await daemon().stop();
    await daemon().start();
  });

  test("is told as an event", async () => {
    const reference = await bring();
    await push(daemon(), reference);
    const until = Math.ceil(Date.now() / 1000);
    const events = await daemon().dockerOk(
      "events",
      "--since",
      "1",
      "--until",
      String(until),
      "--filter",
      "event=push",
      "--format",
      "{{.Actor.ID}} {{.Actor.Attributes.name}}",
    );
    expect(events.split("\n").at(-1)).toBe(`${reference} ${reference.replace(/:1$/, "")}`);
  });
});

describe("an upload goes on", () => {
  const half = BIG.bytes.length >> 1;
  const busy = refusing(503, "UNAVAILABLE");
  const cut: Script = (_request, response) => {
    response.destroy();
    return true;
  };

  test.each<[string, Script]>([
    ["after the registry was busy in the middle of it", after(half, busy)],
    ["after the connection broke in the middle of it", after(half, cut)],
    ["after the connection broke at its end", after(BIG.bytes.length - 10, cut)],
    ["when the registry says that it got less", after(half, (request, response) => accept(request, response, { range: `0-${half - 1}` }))],
    ["where the registry does not say how much it got", first(9, isPatch, swallowed({}))],
    ["where it is told by an absolute address with a query", first(9, isPatch, swallowed({ absolute: true }))],
    ["after a beginning that failed", first(1, ({ method }) => method === "POST", busy)],
    ["after the registry has lost it", first(1, isPatch, lost)],
    ["after its end was not answered", first(1, ({ method }) => method === "PUT", cut)],
    ["after the registry got something else", first(1, ({ method }) => method === "PUT", refusing(400, "DIGEST_INVALID"))],
    ["with a new token in the middle", first(1, isPatch, refusing(401, "UNAUTHORIZED", { "www-authenticate": "Basic realm=x" }))],
  ])("%s", async (_what, script) => {
    const reference = await bring();
    registry.script(script);
    expect((await push(daemon(), reference, { auth: { username: "u", password: "p" } })).error).toBe("");
    await expectPulledBack(reference);
  });

  test("from where it broke off, while it is packed and later", async () => {
    const reference = await bring();
    const goesOn = async (): Promise<string[]> => {
      registry.heal();
      registry.empty();
      registry.script(after(half, cut));
      const { error, lines } = await push(daemon(), reference);
      expect(error).toBe("");
      const ranges = registry.requests.filter(isPatch).map(({ headers }) => headers["content-range"] ?? "");
      expect(ranges.filter((range) => range.startsWith(`${half}-`))).toHaveLength(1);
      return lines.filter((line) => line.includes("Retrying"));
    };
    await goesOn();
    expect(await goesOn()).toEqual([`${layerIds(IMAGE)[1]}: Retrying in 1 second`]);
  });
});

describe("a push fails, and works when repeated, with", () => {
  test.each<[string, Script, string | RegExp]>([
    ["a repository that may not be written", refusingAll(403, "DENIED"), "denied: denied"],
    ["a user that is not known", refusingAll(401, "UNAUTHORIZED"), "unauthorized: unauthorized"],
    ["no user where one is wanted", refusingAll(401, "UNAUTHORIZED", { "www-authenticate": "Basic realm=x" }), "no basic auth credentials"],
    ["a registry that always breaks down", refusingAll(500, ""), "received unexpected HTTP status: 500 Internal Server Error"],
    ["uploads that nobody knows where to send", noLocation, /^the registry 127\.0\.0\.1:\d+ does not say where an upload goes$/],
    [
      "a manifest that is refused",
      first(1, ({ method, path }) => method === "PUT" && path.includes("/manifests/"), refusing(400, "MANIFEST_INVALID")),
      "manifest invalid: manifest invalid",
    ],
    [
      "a registry that says it got something else",
      ({ method }, response) => method === "PUT" && wrongDigest(response),
      /^uploading sha256:\w+: the registry says that it got sha256:0{64}$/,
    ],
  ])("%s", async (_what, script, says) => {
    const reference = await bring();
    registry.script(script);
    const { error, lines } = await push(daemon(), reference);
    expect(error).toMatch(typeof says === "string" ? exactly(says) : says);
    expect(lines[0]).toBe(`The push refers to repository [${registry.host}/image]`);
    registry.heal();
    expect((await push(daemon(), reference)).error).toBe("");
    await expectPulledBack(reference);
  });

  test.each([
    ["nosuch", "An image does not exist locally with the tag: %/nosuch"],
    ["image:other", "tag does not exist: %/image:other"],
  ])("what is not here: %s", async (name, says) => {
    await bring();
    expect((await push(daemon(), `${registry.host}/${name}`)).error).toBe(says.replace("%", registry.host));
  });

  test("no registry", async () => {
    await daemon().dockerOk("tag", "busybox", "127.0.0.1:1/a:b");
    const { error } = await push(daemon(), "127.0.0.1:1/a:b");
    expect(error).toBe('Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused');
  });

  test("no credentials at all in an old client's way", async () => {
    expect((await daemon().api("POST", "/images/busybox/push?tag=latest")).status).toBe(400);
  });
});

test("a push that is given up stops, and the next one works", async () => {
  const image = makeImage([tar({ name: "big", content: incompressible(3_000_000) })]);
  const reference = await bring("image:1", image);
  let isClosed = false;
  registry.script(
    first(1, isPatch, (request) => {
      request.incoming.on("close", () => (isClosed = true)).resume();
      return true;
    }),
  );
  const pushing = beginPush(daemon(), reference);
  await expect.poll(() => registry.requests.some(isPatch), { timeout: 20_000 }).toBe(true);
  pushing.abandon();
  await expect.poll(() => isClosed, { timeout: 20_000 }).toBe(true);
  expect((await push(daemon(), reference)).error).toBe("");
  await expectPulledBack(reference, image);
});

test("credentials go along, and tokens are asked for what is needed", async () => {
  const reference = await bring("private:1");
  const realm = `http://${registry.host}/token`;
  registry.script((request, response) => {
    if (request.path.startsWith("/token")) response.end(JSON.stringify({ token: "let-me-in" }));
    else if (request.headers.authorization === "Bearer let-me-in") return false;
    else refuse(response, 401, "UNAUTHORIZED", { "www-authenticate": `Bearer realm="${realm}",service="s"` });
    return true;
  });
  expect((await push(daemon(), reference, { auth: { username: "u", password: "p" } })).error).toBe("");
  const other = `${registry.host}/other:1`;
  await daemon().dockerOk("tag", reference, other);
  expect((await push(daemon(), other, { auth: { username: "u", password: "p" } })).lines.join("\n")).toContain("Mounted from private");
  const scopes = registry.requests
    .filter(({ path }) => path.startsWith("/token"))
    .map(({ path }) => new URL(path, realm).searchParams.getAll("scope"));
  expect(scopes).toContainEqual(["repository:private:pull,push"]);
  expect(scopes).toContainEqual(["repository:other:pull,push", "repository:private:pull"]);
});

test.each(["images.push.packed", "images.push.uploaded", "images.push.layers", "images.push.manifest"])(
  "%s: after a failure or a death there the same push works",
  async (name) => {
    const reference = await bring();
    for (const action of ["error", "crash"]) {
      registry.empty();
      await daemon().kill();
      await daemon().start({ failpoints: `${name}=${action}@1` });
      const { error } = await push(daemon(), reference).catch((reason: unknown) => ({ error: String(reason) }));
      expect(error).not.toBe("");
      await daemon().kill();
      await daemon().start();
      expect((await push(daemon(), reference)).error).toBe("");
    }
    await expectPulledBack(reference);
  },
);

function exactly(text: string): RegExp {
  return new RegExp(`^${text.replaceAll(".", String.raw`\.`)}$`);
}

function refusing(status: number, code: string, headers: Record<string, string> = {}): Script {
  return (_request, response) => {
    if (code === "") response.writeHead(status, headers).end();
    else refuse(response, status, code, headers);
    return true;
  };
}

/** All but the greeting. */
function refusingAll(status: number, code: string, headers: Record<string, string> = {}): Script {
  const script = refusing(status, code, headers);
  return (request, response) => request.path !== "/v2/" && script(request, response);
}

function accept({ path }: SeenRequest, response: Parameters<Script>[1], headers: Record<string, string>): boolean {
  response.writeHead(202, { location: new URL(path, "http://registry").pathname, ...headers }).end();
  return true;
}

/** Takes all of it, and says less than it might. */
function swallowed({ absolute = false }): Script {
  return (request, response) => {
    const { pathname } = new URL(request.path, "http://registry");
    const pieces: Buffer[] = [];
    request.incoming.on("data", (piece: Buffer) => pieces.push(piece));
    request.incoming.on("end", () => {
      registry.uploads.set(pathname, Buffer.concat(pieces));
      accept(request, response, absolute ? { location: `http://${registry.host}${pathname}?_state=a%2Bb%3D&c` } : {});
    });
    return true;
  };
}

function lost(request: SeenRequest, response: Parameters<Script>[1]): boolean {
  registry.uploads.delete(new URL(request.path, "http://registry").pathname);
  refuse(response, 404, "BLOB_UPLOAD_UNKNOWN");
  return true;
}

function noLocation({ method }: SeenRequest, response: Parameters<Script>[1]): boolean {
  if (method !== "POST") return false;
  response.writeHead(202).end();
  return true;
}

function wrongDigest(response: Parameters<Script>[1]): boolean {
  response.writeHead(201, { "docker-content-digest": `sha256:${"0".repeat(64)}` }).end();
  return true;
}
