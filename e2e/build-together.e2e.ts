import { readdirSync } from "node:fs";

import { afterEach, expect, test } from "vitest";

import { paths } from "../src/store/roots.ts";
import { context, type RunningBuild, startBuild, whole } from "./build/build.ts";
import type { Entry } from "../src/testing/tar.ts";
import { useDaemon } from "./harness.ts";
import { removeImages } from "./images/pulls.ts";

/** Stages and builds side by side, and builds that are given up. */

const daemon = useDaemon();

function begin(dockerfile: string, { query = "", entries = [] }: { query?: string; entries?: Entry[] } = {}): RunningBuild {
  return startBuild(daemon(), context(dockerfile, ...entries), { query });
}

const told = async (build: RunningBuild): Promise<string> => whole(await build.end);

afterEach(async () => {
  await removeImages(daemon());
  expect(readdirSync(paths.builds(daemon().roots))).toEqual([]);
});

const count = (text: string, pattern: RegExp): number => text.match(new RegExp(pattern, "g"))?.length ?? 0;

test("independent stages run at the same time, and their text is in order", async () => {
  const names = ["a", "b", "c", "d", "e"];
  // Each waits for all others: one after another they would never end.
  const stages = names.map(
    (name) => `FROM busybox AS ${name}
RUN --mount=type=cache,target=/c,id=meeting touch /c/${name}; while [ $(ls /c | wc -l) -lt 5 ]; do sleep 0.02; done; echo ${name} met > /met; cat /met
`,
  );
  const copies = names.map((name) => `COPY --from=${name} /met /${name}\n`);
  const text = await told(begin(`${stages.join("")}FROM scratch\n${copies.join("")}`, { query: "t=stages" }));
  expect(text).toContain("Successfully tagged stages:latest");
  expect(names.map((name) => text.indexOf(`${name} met\n`))).toEqual(
    names.map((name) => text.indexOf(`${name} met\n`)).toSorted((a, b) => a - b),
  );
  expect([...text.matchAll(/^Step (\d+)\/16/gm)].map(([, number]) => Number(number))).toEqual(
    Array.from({ length: 16 }, (_, index) => index + 1),
  );
});

test("builds of one context share the work", async () => {
  const dockerfile = "FROM busybox\nCOPY given /given\nRUN sleep 0.3; head -c 8 /dev/urandom | md5sum > /random\nRUN cat /random\n";
  const entries = [{ name: "given", content: "given" }];
  const builds = [1, 2, 3].map((number) => begin(dockerfile, { query: `t=together${number}`, entries }));
  const texts = await Promise.all(builds.map(told));
  const ids = await Promise.all([1, 2, 3].map((number) => daemon().dockerOk("inspect", "-f", "{{.Id}}", `together${number}`)));
  expect(new Set(ids).size).toBe(1);
  expect(texts.reduce((sum, text) => sum + count(text, / ---> Running in/), 0)).toBe(2);
});

test("one that is given up while another waits for its step: the other does it itself", async () => {
  const dockerfile = "FROM busybox\nRUN sleep 2; echo done\n";
  const first = begin(dockerfile);
  await expect.poll(() => first.text()).toContain("Running in");
  const second = begin(dockerfile, { query: "t=second" });
  await expect.poll(() => second.text()).toContain("Step 2/2");
  first.leave();
  expect(await told(second)).toMatch(/Running in[^]*done\n[^]*Successfully tagged second:latest/);
});

test("a build that is given up in a step stops at once, and keeps the steps before", async () => {
  const marker = "tsubo-e2e-given-up";
  const dockerfile = `FROM busybox\nRUN echo before\nRUN sleep 1000 # ${marker}\n`;
  const build = begin(dockerfile);
  await expect.poll(() => count(build.text(), /Running in/)).toBe(2);
  build.leave();
  await expect.poll(async () => (await daemon().run(["pgrep", "-f", marker])).code, { timeout: 5000 }).toBe(1);
  await expect.poll(() => readdirSync(paths.builds(daemon().roots))).toEqual([]);
  const again = begin(dockerfile);
  await expect.poll(() => again.text()).toMatch(/RUN echo before\n ---> Using cache/);
  again.leave();
  await expect.poll(() => readdirSync(paths.builds(daemon().roots))).toEqual([]);
});

test("one stage that fails ends the others, and names the last good image", async () => {
  const marker = "tsubo-e2e-other-stage";
  const dockerfile = `FROM busybox AS slow
RUN sleep 1000 # ${marker}
FROM busybox
RUN echo kept > /kept
RUN exit 7
`;
  const text = await told(begin(dockerfile));
  expect(text).toMatch(/The command '\/bin\/sh -c exit 7' returned a non-zero code: 7$/);
  expect((await daemon().run(["pgrep", "-f", marker])).code).toBe(1);
  const [, last = ""] = /RUN echo kept > \/kept\n ---> Running in .*\n(?:.*\n)* ---> ([0-9a-f]{12})\nStep 5/.exec(text) ?? [];
  expect(await daemon().dockerOk("run", "--rm", last, "cat", "/kept")).toBe("kept");
});
