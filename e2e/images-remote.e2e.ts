import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";

import { useDaemon } from "./harness.ts";
import { digestOf, FILE, makeImage, makeIndex } from "./images/image.ts";
import { pull, removeImages } from "./images/pulls.ts";
import { openScriptedRegistry, refuse, type ScriptedRegistry } from "./images/registry.ts";

/** What registries tell without anything being pulled: distribution and search. And what is kept of an index. */

const daemon = useDaemon();
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

const IMAGE = makeImage([FILE]);
const OTHER = makeImage([FILE], { config: { architecture: "s390x" } });
const INDEX = makeIndex([
  { platform: { os: "linux", architecture: "amd64" }, of: IMAGE.manifest },
  { platform: { os: "linux", architecture: "s390x", "os.version": "9", unknown: "left out" }, of: OTHER.manifest },
]);

describe("distribution", () => {
  const ask = (reference: string): Promise<{ status: number; text: string }> => daemon().api("GET", `/distribution/${reference}/json`);

  test("describes an image", async () => {
    const { status, text } = await ask(registry.put("one:1", OTHER));
    const { mediaType, digest, bytes } = OTHER.manifest;
    expect(status).toBe(200);
    expect(JSON.parse(text)).toEqual({
      Descriptor: { mediaType, digest, size: bytes.length },
      Platforms: [{ architecture: "s390x", os: "linux" }],
    });
  });

  test("describes an index, by its digest too", async () => {
    const reference = registry.put("many:1", IMAGE, INDEX);
    for (const name of [reference, reference.replace(/:1$/, `@${INDEX.digest}`)]) {
      expect(JSON.parse((await ask(name)).text)).toEqual({
        Descriptor: { mediaType: INDEX.mediaType, digest: INDEX.digest, size: INDEX.bytes.length },
        Platforms: [
          { os: "linux", architecture: "amd64" },
          { os: "linux", architecture: "s390x", "os.version": "9" },
        ],
      });
    }
  });

  test.each([
    ["nosuch", 404, "manifest unknown: manifest unknown"],
    ["private", 403, "denied: denied"],
    ["closed", 500, "no basic auth credentials"],
  ])("tells why not: %s", async (name, wanted, message) => {
    registry.script(({ path }, response) => {
      if (path.includes("/private/")) refuse(response, 403, "DENIED");
      else if (path.includes("/closed/")) refuse(response, 401, "UNAUTHORIZED", { "www-authenticate": "Basic realm=x" });
      else return false;
      return true;
    });
    const { status, text } = await ask(`${registry.host}/${name}`);
    expect([status, JSON.parse(text)]).toEqual([wanted, { message }]);
  });
});

test("of an index every byte is kept, its digest names the image, and it goes with it", async () => {
  const reference = registry.put("many:1", IMAGE, INDEX);
  expect((await pull(daemon(), reference)).error).toBe("");
  const repository = reference.replace(/:1$/, "");
  expect(await daemon().dockerOk("images", "--digests", "--format", "{{.Digest}} {{.ID}}", "--no-trunc", repository)).toBe(
    `${INDEX.digest} ${IMAGE.id}`,
  );
  expect(await daemon().dockerOk("image", "inspect", "-f", "{{.Id}}", `${repository}@${INDEX.digest}`)).toBe(IMAGE.id);
  const blob = (): Promise<string> =>
    daemon()
      .run(["sha256sum", `${daemon().roots.data}/content/blobs/sha256/${INDEX.digest.slice(7)}`])
      .then(({ stdout }) => stdout);
  expect(`sha256:${(await blob()).slice(0, 64)}`).toBe(digestOf(INDEX.bytes));
  await daemon().dockerOk("rmi", reference);
  expect(await blob()).toBe("");
});

describe("search", () => {
  const RESULTS = [
    { name: "official", description: "by them", is_official: true, is_automated: true, star_count: 9 },
    { name: "else/other", description: "", is_official: false, star_count: 2 },
  ];
  const searchFor = (...flags: string[]): Promise<string> =>
    daemon().dockerOk("search", ...flags, "--format", "{{.Name}} {{.StarCount}} {{.IsOfficial}}", `${registry.host}/some thing`);

  test("asks the registry that is named, and filters what it answers", async () => {
    registry.script(({ path }, response) => {
      if (!path.startsWith("/v1/search?")) return false;
      response.end(JSON.stringify({ results: RESULTS }));
      return true;
    });
    expect(await searchFor()).toBe("official 9 [OK]\nelse/other 2");
    expect(await searchFor("--filter", "is-official=true")).toBe("official 9 [OK]");
    expect(await searchFor("--filter", "stars=3", "--limit", "7")).toBe("official 9 [OK]");
    expect(await searchFor("--filter", "is-automated=true")).toBe("");
    const asked = registry.requests
      .filter(({ path }) => path.startsWith("/v1/"))
      .map(({ path }) => new URL(path, "http://registry").search);
    expect([...new Set(asked)]).toEqual(["?q=some+thing&n=25", "?q=some+thing&n=7"]);
  });

  test.each([
    ["term=x&limit=101", 400, "limit 101 is outside the range of [1, 100]"],
    ["term=http://x", 400, "invalid repository name: repository name (http://x) should not have a scheme"],
    [`term=x&filters=${encodeURIComponent('{"nosuch":["1"]}')}`, 400, "invalid filter 'nosuch'"],
    [`term=x&filters=${encodeURIComponent('{"stars":["x"]}')}`, 400, "invalid filter 'stars=x'"],
    ["term=127.0.0.1:1/x", 500, 'Get "http://127.0.0.1:1/v1/search?q=x&n=25": dial tcp 127.0.0.1:1: connect: connection refused'],
  ])("%s is refused", async (query, wanted, message) => {
    const { status, text } = await daemon().api("GET", `/images/search?${query}`);
    expect([status, JSON.parse(text)]).toEqual([wanted, { message }]);
  });

  test("a registry that cannot search says so", async () => {
    expect((await daemon().docker("search", `${registry.host}/x`)).stderr).toContain("Unexpected status code 404");
  });
});
