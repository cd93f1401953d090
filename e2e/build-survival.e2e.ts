import { existsSync, readdirSync } from "node:fs";

import { afterEach, expect, test } from "vitest";

import { paths } from "../src/store/roots.ts";
import { type Entry, tar } from "../src/testing/tar.ts";
import { context, type RunningBuild, startBuild, whole } from "./build/build.ts";

import { useDaemon } from "./harness.ts";
import { removeImages } from "./images/pulls.ts";

/** A daemon that dies while it builds, and contexts that nobody honest would send. */

const daemon = useDaemon();

function begin(dockerfile: string, { query = "", entries = [] }: { query?: string; entries?: Entry[] } = {}): RunningBuild {
  return startBuild(daemon(), context(dockerfile, ...entries), { query });
}

const told = async (build: RunningBuild): Promise<string> => whole(await build.end);

afterEach(async () => {
  await removeImages(daemon());
  expect(readdirSync(paths.builds(daemon().roots))).toEqual([]);
});

test("a daemon that is killed in a step: the next one ends the step and clears away, and what was done is cached", async () => {
  const marker = "tsubo-e2e-survivor";
  const dockerfile = (command: string): string => `FROM busybox\nRUN echo one > /one\nRUN ${command}\n`;
  const build = begin(dockerfile(`sleep 1000 # ${marker}`));
  await expect.poll(() => build.text().match(/Running in/g)?.length).toBe(2);
  // Until the first step is durable.
  await expect.poll(async () => (await daemon().dockerOk("images", "-aq")).split("\n").length).toBeGreaterThan(1);
  await daemon().kill();
  await expect(build.end).rejects.toThrow();
  await daemon().start();
  await expect.poll(async () => (await daemon().run(["pgrep", "-f", marker])).code).toBe(1);
  await daemon().expectClean();
  const text = await told(begin(dockerfile("cat /one"), { query: "t=again" }));
  expect(text).toMatch(/RUN echo one > \/one\n ---> Using cache/);
  expect(text).toContain("\none\n");
});

test.each([
  ["a name that leads out", { name: "../out", content: "x" }, /leads out/],
  ["a name that leads out from within", { name: "a/../../out", content: "x" }, /leads out/],
  ["a size that is not there", { name: "big", content: "x", sizeBytes: 1e9 }, /ends in the middle/],
  ["a size beyond all disks", { name: "big", content: "x", sizeBytes: 8_000_000_000_000 }, /reading the build context/],
  ["a type that there is not", { name: "odd", content: "x", flag: "Z" }, /unknown type/],
])("%s", async (_, entry, words) => {
  const text = await told(startBuild(daemon(), context("FROM busybox\nCOPY . /all\n", entry)));
  expect(text).toMatch(words);
  expect(existsSync("/tmp/out")).toBe(false);
});

test("links that lead out mean what they mean within the context", async () => {
  const text = await told(
    begin("FROM busybox\nCOPY link/passwd /got\nRUN cat /got\n", {
      entries: [
        { name: "etc/", type: "directory" },
        { name: "etc/passwd", content: "the context's own\n" },
        { name: "link", type: "symlink", link: "/etc" },
      ],
    }),
  );
  expect(text).toContain("the context's own\n");
  for (const entry of [
    { name: "out", type: "symlink", link: "/etc/shadow" } as const,
    { name: "out", type: "symlink", link: "../../../../etc/shadow" } as const,
    { name: "out", type: "hardlink", link: "/etc/shadow" } as const,
    { name: "out", type: "symlink", link: "out" } as const,
  ]) {
    const failed = await told(begin("FROM busybox\nCOPY out /got\n", { entries: [entry] }));
    expect([entry, failed]).toEqual([entry, expect.stringContaining("COPY failed")]);
  }
});

test("links of the image that lead out are followed within the image", async () => {
  const dockerfile = `FROM busybox
RUN ln -s /../../../../../../tmp /away && ln -s / /root-again && mkdir -p /tmp
COPY given /away/tsubo-e2e-given
COPY given /root-again/here
WORKDIR /away/tsubo-e2e-folder
ADD given /away/
RUN ls -d /tmp/tsubo-e2e-given /here /tmp/tsubo-e2e-folder /tmp/given
`;
  const text = await told(begin(dockerfile, { query: "t=links", entries: [{ name: "given", content: "given" }] }));
  expect(text).toContain("/here\n/tmp/given\n/tmp/tsubo-e2e-folder\n/tmp/tsubo-e2e-given\n");
  expect(existsSync("/tmp/tsubo-e2e-given") || existsSync("/tmp/tsubo-e2e-folder")).toBe(false);
});

test("an archive that ADD unpacks does not lead out of where it goes", async () => {
  const inner = tar(
    { name: "etc/", type: "directory" },
    { name: "link", type: "symlink", link: "/etc" },
    { name: "link/unpacked", content: "x" },
    { name: ".wh.passwd", content: "" },
  );
  const text = await told(
    begin("FROM busybox\nADD inner.tar /into/\nRUN ls -A /into /into/etc; test ! -e /etc/unpacked\n", {
      entries: [{ name: "inner.tar", content: inner }],
    }),
  );
  expect(text).toContain(".wh.passwd\netc\nlink\n");
  expect(text).toContain("unpacked\n");
  expect(text).toContain("Successfully built");
  const out = await told(
    begin("FROM busybox\nADD inner.tar /into/\n", {
      entries: [{ name: "inner.tar", content: tar({ name: "../../out", content: "x" }) }],
    }),
  );
  expect(out).toMatch('failed to copy files: "../../out" leads out of the layer');
});

test.each([
  ["nothing", Buffer.alloc(0), /Cannot locate specified Dockerfile: Dockerfile/],
  ["no archive", Buffer.from("FROM busybox\n".repeat(200)), /reading the build context/],
  ["a compressed end", Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 1]), /reading the build context/],
  ["an archive without a Dockerfile", tar({ name: "x", content: "x" }), /Cannot locate specified Dockerfile: Dockerfile/],
  ["a Dockerfile that is a folder", tar({ name: "Dockerfile/", type: "directory" }), /Cannot locate specified Dockerfile: Dockerfile/],
  ["a Dockerfile that leads out", tar({ name: "Dockerfile", type: "symlink", link: "/etc/passwd" }), /Cannot locate specified Dockerfile/],
])("a context that is %s", async (_, body, words) => {
  expect(await told(startBuild(daemon(), body))).toMatch(words);
});

test.each([
  ["dockerfile=../x", /Cannot locate specified Dockerfile|outside|leads out/],
  ["t=UPPER", /must be lowercase/],
  ["buildargs={", /buildargs/],
  ["labels=[1]", /labels/],
  ["target=nowhere", /nowhere/],
  ["memory=abc", /abc|memory/i],
  ["networkmode=container:nowhere", /nowhere/],
  ["platform=bogus%2Fbogus%2Fx%2Fy", /bogus/],
  ["tsubo-context=relative", /no absolute path/],
  ["tsubo-context=/etc&tsubo-device=1&tsubo-inode=1", /is not the one that the client sees/],
])("a query with %s", async (query, words) => {
  const text = await told(begin("FROM busybox\nRUN true\n", { query }));
  expect(text).toMatch(words);
});
