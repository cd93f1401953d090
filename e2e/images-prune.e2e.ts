import { afterEach, describe, expect, test } from "vitest";

import { tar } from "../src/testing/tar.ts";
import { useDaemon } from "./harness.ts";
import { imageTags, removeImages } from "./images/pulls.ts";

/** Images that depend on each other: who may be removed, what goes along, and what all of them take on the disk. */

const daemon = useDaemon();
const docker = (...args: string[]): Promise<string> => daemon().dockerOk(...args);
const refusal = async (...args: string[]): Promise<string> => (await daemon().docker(...args)).stderr.trim();
const idOf = (name: string): Promise<string> => docker("image", "inspect", "-f", "{{.Id}}", name);

afterEach(() => removeImages(daemon()));

async function importTar(reference: string, content: string, ...flags: string[]): Promise<string> {
  const input = tar({ name: "file", content });
  const { stdout } = await daemon().run([daemon().pathOf("docker"), "import", ...flags, "-", reference], { input });
  return stdout.trim();
}

/** base:1 ← an image without a name ← child:1, all of one layer; the id of the one in the middle. */
async function makeFamily(): Promise<string> {
  await importTar("base:1", "base", "-c", "LABEL kind=base");
  await docker("create", "--name", "one", "--entrypoint", "x", "base:1");
  await docker("commit", "one", "middle:1");
  const middle = await idOf("middle:1");
  await docker("create", "--name", "two", "middle:1");
  await docker("commit", "-c", "LABEL kind=child", "two", "child:1");
  await docker("rm", "one", "two");
  await docker("rmi", "middle:1");
  return middle;
}

describe("rmi", () => {
  test("of a parent is refused, of its name not", async () => {
    const middle = await makeFamily();
    const short = middle.slice(7, 19);
    for (const flags of [[], ["-f"]])
      expect(await refusal("rmi", ...flags, short)).toContain(
        `conflict: unable to delete ${short} (cannot be forced) - image has dependent child images`,
      );
    await docker("tag", middle, "again:1");
    expect(await docker("rmi", "again:1")).toBe("Untagged: again:1");
    expect(await docker("rmi", "base:1")).toBe("Untagged: base:1");
    expect(await imageTags(daemon())).toEqual(["busybox:latest", "child:1"]);
  });

  test("takes parents without a name along, and shows them with -a until then", async () => {
    const middle = await makeFamily();
    const all = (): Promise<string> => docker("images", "-aq", "--no-trunc");
    expect(await all()).toContain(middle);
    expect(await docker("images", "-q", "--no-trunc")).not.toContain(middle);
    const child = await idOf("child:1");
    expect((await docker("rmi", "child:1")).split("\n").filter((line) => line !== "")).toEqual([
      "Untagged: child:1",
      `Deleted: ${child}`,
      `Deleted: ${middle}`,
    ]);
    expect(await imageTags(daemon())).toEqual(["base:1", "busybox:latest"]);
    expect(await all()).not.toContain(middle);
  });

  test("with --no-prune leaves them", async () => {
    const middle = await makeFamily();
    await docker("rmi", "--no-prune", "child:1");
    expect(await docker("images", "-q", "--no-trunc", "-f", "dangling=true")).toBe(middle);
    expect(await docker("rmi", middle)).toContain(`Deleted: ${middle}`);
  });

  test("by id with several names must be forced, and then takes all of them", async () => {
    const id = await importTar("a:1", "a");
    for (const name of ["a:2", "other/a:1"]) await docker("tag", "a:1", name);
    const short = id.slice(7, 19);
    expect(await refusal("rmi", short)).toContain(
      `conflict: unable to delete ${short} (must be forced) - image is referenced in multiple repositories`,
    );
    expect((await docker("rmi", "-f", short)).split("\n").slice(0, 4)).toEqual([
      "Untagged: a:1",
      "Untagged: a:2",
      "Untagged: other/a:1",
      `Deleted: ${id}`,
    ]);
  });
});

describe("prune", () => {
  test("removes what has no name and no use", async () => {
    const old = await importTar("a:1", "old");
    await importTar("a:1", "new");
    const { ImagesDeleted, SpaceReclaimed } = await prune();
    expect(ImagesDeleted?.[0]).toEqual({ Deleted: old });
    expect(SpaceReclaimed).toBe(3);
    expect(await prune()).toEqual({ ImagesDeleted: null, SpaceReclaimed: 0 });
    expect(await imageTags(daemon())).toEqual(["a:1", "busybox:latest"]);
  });

  test.each<[Record<string, string[]>, string[]]>([
    [{ dangling: ["false"] }, ["used:1"]],
    [{ dangling: ["false"], label: ["kind=base"] }, ["busybox:latest", "child:1", "other:1", "used:1"]],
    [{ dangling: ["false"], "label!": ["kind"] }, ["base:1", "child:1", "used:1"]],
    [{ dangling: ["false"], until: ["24h"] }, ["base:1", "busybox:latest", "child:1", "other:1", "used:1"]],
    [{ dangling: ["true"] }, ["base:1", "busybox:latest", "child:1", "other:1", "used:1"]],
  ])("%j leaves %j", async (filters, left) => {
    await docker("tag", "busybox", "kept:1");
    await makeFamily();
    await importTar("other:1", "other");
    await importTar("used:1", "used");
    await docker("create", "--name", "user", "used:1", "x");
    await prune(filters);
    expect((await imageTags(daemon())).filter((name) => name !== "kept:1")).toEqual(left);
    // For what comes after.
    if (!left.includes("busybox:latest")) {
      await daemon().stop();
      await daemon().start();
    }
  });

  test.each([
    [{ nosuch: ["1"] }, "invalid filter 'nosuch'"],
    [{ dangling: ["maybe"] }, "invalid filter 'dangling=[maybe]'"],
    [{ until: ["x"] }, `invalid value for 'until' filter: failed to parse value as time or duration: "x"`],
    [{ until: ["1h", "2h"] }, "more than one until filter specified"],
  ])("refuses %j", async (filters, message) => {
    const { status, text } = await daemon().api("POST", `/images/prune?filters=${encodeURIComponent(JSON.stringify(filters))}`);
    expect([status, text]).toEqual([400, expect.stringContaining(JSON.stringify(message))]);
  });
});

describe("df", () => {
  test("counts each layer once, and tells what images share", async () => {
    await makeFamily();
    await docker("create", "--name", "user", "child:1", "x");
    const usage = await df();
    const sizeOf = (tag: string): Usage["Images"][number] | undefined => usage.Images.find(({ RepoTags }) => RepoTags.includes(tag));
    expect(sizeOf("base:1")).toMatchObject({ Size: 4, SharedSize: 4, Containers: 0 });
    expect(sizeOf("child:1")).toMatchObject({ Size: 4, SharedSize: 4, Containers: 1 });
    expect(sizeOf("busybox:latest")?.SharedSize).toBe(0);
    expect(usage.LayersSize).toBe(4 + (sizeOf("busybox:latest")?.Size ?? 0));
    expect(usage).toMatchObject({ Containers: [{ Names: ["/user"], SizeRootFs: 4 }], Volumes: [] });
    expect(await docker("system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Active}}")).toMatch(
      /^Images 3 1\nContainers 1 0\nLocal Volumes 0 0\nBuild Cache \d+ 0$/,
    );
    expect(await docker("system", "df", "-v")).toContain("child");
    const listed = (await daemon().api("GET", "/images/json?shared-size=1")).json() as Usage["Images"];
    expect(new Set(listed.map(({ SharedSize }) => SharedSize))).toEqual(new Set([0, 4]));
  });

  test("measures only what is asked for", async () => {
    expect(await df("?type=image")).toMatchObject({ Containers: null, Volumes: null, BuildCache: null });
    expect(await df("?type=container&type=volume")).toMatchObject({ Images: null, Containers: [], Volumes: [] });
    expect((await daemon().api("GET", "/system/df?type=nosuch")).text).toContain("unknown object type: nosuch");
  });

  test("answers older clients in their way", async () => {
    const { text } = await daemon().api("GET", "/v1.41/system/df?type=nosuch");
    expect(JSON.parse(text)).toMatchObject({ BuilderSize: expect.any(Number), Images: [{ VirtualSize: expect.any(Number) }] });
  });
});

test("inspect and history by platform refuse an image of another one", async () => {
  const platform = (architecture: string): string => encodeURIComponent(JSON.stringify({ os: "linux", architecture }));
  const own = (await docker("image", "inspect", "-f", "{{.Architecture}}", "busybox")).trim();
  for (const what of ["json", "history"]) {
    expect((await daemon().api("GET", `/images/busybox/${what}?platform=${platform(own)}`)).status).toBe(200);
    const { status, text } = await daemon().api("GET", `/images/busybox/${what}?platform=${platform("s390x")}`);
    expect([status, text]).toEqual([404, expect.stringContaining("does not match the specified platform (linux/s390x)")]);
    expect((await daemon().api("GET", `/images/busybox/${what}?platform=${encodeURIComponent('{"os":"linux"}')}`)).status).toBe(400);
  }
});

interface Usage {
  LayersSize: number;
  Images: { RepoTags: string[]; Size: number; SharedSize: number; Containers: number }[];
}

// The shapes are the Engine API's.
async function df(query = ""): Promise<Usage> {
  return (await daemon().api("GET", `/system/df${query}`)).json() as Usage;
}

async function prune(filters: Record<string, string[]> = {}): Promise<{ ImagesDeleted: unknown[] | null; SpaceReclaimed: number }> {
  const query = encodeURIComponent(JSON.stringify(filters));
  return (await daemon().api("POST", `/images/prune?filters=${query}`)).json() as {
    ImagesDeleted: unknown[] | null;
    SpaceReclaimed: number;
  };
}
