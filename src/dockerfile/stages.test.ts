import { describe, expect, test } from "vitest";

import { parseDockerfile } from "./parse.ts";
import { checkStageReferences, findTarget, stageAbove } from "./stages.ts";
import { DockerfileError } from "./dockerfile-error.ts";

test("the stage that a name means is the nearest above", () => {
  const { stages } = parseDockerfile("FROM x AS a\nFROM x AS A\nFROM x AS b\nFROM x AS a\n");
  const meant = (index: number, from: string): number | undefined => stageAbove(stages, index, from)?.index;
  expect([meant(0, "a"), meant(1, "a"), meant(3, "A"), meant(3, "B"), meant(2, "b"), meant(3, "1"), meant(3, "3"), meant(3, "x")]).toEqual([
    undefined,
    0,
    1,
    2,
    undefined,
    1,
    undefined,
    undefined,
  ]);
});

describe("targets", () => {
  const file = parseDockerfile("FROM x AS build\nFROM y\n");

  test.each([
    ["build", 0],
    ["BUILD", 0],
    ["1", 1],
  ])("%s", (target, index) => {
    expect(findTarget(file, target).index).toBe(index);
  });

  test.each([
    ["bulid", 'target stage "bulid" could not be found (did you mean build?)'],
    ["2", 'target stage "2" could not be found'],
  ])("%s is none", (target, message) => {
    expect(() => findTarget(file, target)).toThrow(message);
  });
});

describe("stages that cannot be taken from", () => {
  test.each([
    ["FROM x\nCOPY --from=0 a b\n", "invalid from flag value 0: refers to current build stage", 2],
    [
      "ARG s=x\nFROM x\nARG s\nCOPY --from=$s a b\n",
      "variable expansion is not supported for --from, define a new stage with FROM using ARG from global scope as a workaround",
      4,
    ],
    ["FROM x\nCOPY --from=1 a b\n", "invalid from flag value 1: index out of bounds", 2],
    ["FROM x AS a\n\nCOPY --from=A a b\n", "circular dependency detected on stage: a", 3],
    ["FROM x AS a\nCOPY --from=b a b\nFROM a AS b\n", "circular dependency detected on stage: a", 2],
    [
      "FROM x AS a\nRUN --mount=from=c,target=/x true\nFROM x AS b\nCOPY --from=a a b\nFROM b AS c\n",
      "circular dependency detected on stage: a",
      2,
    ],
    ["FROM x\nCOPY --from=b a b\nFROM x AS b\n", 'cannot copy from stage "b", it needs to be defined before current stage "stage-0"', 2],
    [
      "FROM x\nRUN --mount=from=b,target=/x true\nFROM x AS b\n",
      'cannot mount from stage "b", stage needs to be defined before current command',
      2,
    ],
  ])("%j", (text, message, line) => {
    const file = parseDockerfile(text);
    let thrown: unknown;
    try {
      checkStageReferences(file);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(DockerfileError);
    expect(thrown).toMatchObject({ message, range: { start: { line } } });
  });

  test("what is behind the target does not count, and images are no stages", () => {
    const file = parseDockerfile(
      "FROM x AS a\nCOPY --from=alpine:1 a b\nFROM a\nCOPY --from=a a b\nCOPY --from=0 a b\nCOPY --from=7 a b\n",
    );
    expect(() => checkStageReferences(file, 1)).not.toThrow();
    expect(() => checkStageReferences(file)).toThrow("index out of bounds");
  });
});
