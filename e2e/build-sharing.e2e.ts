import { expect, test } from "vitest";

import { build, context, startBuild } from "./build/build.ts";
import { useDaemon } from "./harness.ts";

/** Work that is done once, and work that is done at the same time. */

const daemon = useDaemon();

test("two builds of one context run its steps once", async () => {
  const archive = context("FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /id; sleep 0.5\nRUN cat /id\n");
  const [one, other] = await Promise.all([startBuild(daemon(), archive).end, startBuild(daemon(), archive).end]);
  expect([one.error, other.error]).toEqual(["", ""]);
  expect(one.imageId).toBe(other.imageId);
});

test("two builds in which the same step fails both hear why", async () => {
  const archive = context("FROM busybox\nRUN sleep 0.5; exit 9\n");
  const said = await Promise.all([startBuild(daemon(), archive).end, startBuild(daemon(), archive).end]);
  const why = "The command '/bin/sh -c sleep 0.5; exit 9' returned a non-zero code: 9";
  expect(said.map(({ error }) => error)).toEqual([why, why]);
});

test("stages that do not need each other run at the same time", async () => {
  const names = ["a", "b", "c", "d", "e"];
  const stages = names.map(
    (name) => `FROM busybox AS ${name}\nRUN cut -d' ' -f1 /proc/uptime > /${name}; sleep 1; cut -d' ' -f1 /proc/uptime >> /${name}\n`,
  );
  const last = `FROM busybox\n${names.map((name) => `COPY --from=${name} /${name} /\n`).join("")}`;
  const { error, imageId } = await build(daemon(), context(stages.join("") + last));
  expect(error).toBe("");
  const times = await daemon().dockerOk("run", "--rm", imageId, "cat", ...names.map((name) => `/${name}`));
  const all = times.split("\n").map(Number);
  const begun = all.filter((_, index) => index % 2 === 0);
  const ended = all.filter((_, index) => index % 2 === 1);
  expect(begun).toHaveLength(names.length);
  expect(Math.max(...begun)).toBeLessThan(Math.min(...ended));
});
