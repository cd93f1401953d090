import { existsSync, readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";

import { useDaemon } from "../e2e/harness.ts";
import { importBase } from "./builds/base-image.ts";
import { readGroups } from "./builds/case.ts";
import { Differences } from "./builds/differences.ts";
import type { Engine } from "./builds/engine.ts";
import { ImageReader, type Observation, observe } from "./builds/observe.ts";

/** Dockerfiles built by us as by Docker: text, config, history, tree, layers and cached steps. builds/README.md has the words. */

const daemon = useDaemon();
const engine: Engine = {
  api: (...call) => daemon().api(...call),
  cli: (args) => daemon().tsubo("build", ...args),
};
const differences = new Differences();
const reader = new ImageReader();
beforeAll(() => importBase(engine));

describe.each(readGroups())("$name", ({ cases, goldenPath }) => {
  const golden = existsSync(goldenPath) ? (JSON.parse(readFileSync(goldenPath, "utf8")) as Record<string, Observation>) : {};

  test.each(cases)("$name", async (one) => {
    // As it would be read from a file.
    const ours = JSON.parse(JSON.stringify(await observe(engine, one, reader))) as Observation;
    const recorded = golden[one.name];
    if (recorded === undefined && one.expect === undefined) throw new Error(`nothing is recorded of ${one.name}: see builds/README.md`);
    const expected = recorded === undefined ? { ...ours, ...one.expect } : differences.applied(one.name, recorded);
    expect(ours).toEqual(expected);
  });
});

test("every difference that is listed makes one", () => {
  expect(differences.idle()).toEqual([]);
});
