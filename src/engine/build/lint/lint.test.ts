import { describe, expect, test } from "vitest";

import { lint, lintFailure, type LintOptions } from "./lint.ts";
import { LINT_RULES } from "./lint-rules.ts";
import { parseDockerfile } from "../../../dockerfile/parse.ts";

const predefined = new Map([
  ["BUILDPLATFORM", "linux/amd64"],
  ["TARGETPLATFORM", "linux/amd64"],
  ["TARGETARCH", "amd64"],
]);

/** Findings as `line rule: detail`. */
function findings(text: string, options: LintOptions = {}): string[] {
  return lint(parseDockerfile(text), { predefined, ...options }).map(({ rule, detail, range }) => `${range.start.line} ${rule}: ${detail}`);
}

describe("rules that read the file", () => {
  test.each([
    ["FROM scratch\nLABEL a=b \\\n\n  c=d\n", ["2 NoEmptyContinuation: Empty continuation line"]],
    ["FROM scratch AS Base\n", ["1 StageNameCasing: Stage name 'Base' should be lowercase"]],
    ["FROM scratch as base\n", ["1 FromAsCasing: 'as' and 'FROM' keywords' casing do not match"]],
    ["from scratch AS base\n", ["1 FromAsCasing: 'AS' and 'from' keywords' casing do not match"]],
    ["from scratch as base\n", []],
    ["FROM scratch\nMAINTAINER me\n", ["2 MaintainerDeprecated: Maintainer instruction is deprecated in favor of using label"]],
    [
      "FROM scratch AS a\nFROM scratch AS A\n",
      [
        "2 StageNameCasing: Stage name 'A' should be lowercase",
        '2 DuplicateStageName: Duplicate stage name "a", stage names should be unique',
      ],
    ],
    ["FROM scratch AS scratch\n", ['1 ReservedStageName: Stage name should not use the same name as reserved stage "scratch"']],
    ["FROM scratch AS context\n", ['1 ReservedStageName: Stage name should not use the same name as reserved stage "context"']],
    [
      "FROM scratch\nlabel a=b\nENV c=d\n",
      ["2 ConsistentInstructionCasing: Command 'label' should match the case of the command majority (uppercase)"],
    ],
    [
      "from scratch\nlabel a=b\nEnv c=d\nUSER x\n",
      [
        "3 ConsistentInstructionCasing: Command 'Env' should match the case of the command majority (lowercase)",
        "4 ConsistentInstructionCasing: Command 'USER' should match the case of the command majority (lowercase)",
      ],
    ],
    [
      'FROM scratch\nCMD ["a"]\nCMD ["b"]\nENTRYPOINT ["c"]\n',
      [
        "2 MultipleInstructionsDisallowed: Multiple CMD instructions should not be used in the same stage because only the last one will be used",
      ],
    ],
    [
      "FROM scratch\nHEALTHCHECK NONE\nHEALTHCHECK NONE\nHEALTHCHECK NONE\n",
      [2, 3].map(
        (line) =>
          `${line} MultipleInstructionsDisallowed: Multiple HEALTHCHECK instructions should not be used in the same stage because only the last one will be used`,
      ),
    ],
    ['FROM scratch AS a\nCMD ["a"]\nFROM a\nCMD ["b"]\n', []],
    [
      "FROM scratch\nENV a b\nLABEL c d\n",
      [
        '2 LegacyKeyValueFormat: "ENV key=value" should be used instead of legacy "ENV key value" format',
        '3 LegacyKeyValueFormat: "LABEL key=value" should be used instead of legacy "LABEL key value" format',
      ],
    ],
  ])("%j", (text, expected) => {
    expect(findings(text)).toEqual(expected);
  });
});

describe("rules that know what variables mean", () => {
  test.each<[string, string[]]>([
    [
      "FROM scratch\nCMD a\nENTRYPOINT b\n",
      ["CMD", "ENTRYPOINT"].map(
        (name, index) =>
          `${index + 2} JSONArgsRecommended: JSON arguments recommended for ${name} to prevent unintended behavior related to OS signals`,
      ),
    ],
    ['FROM scratch\nSHELL ["/bin/bash", "-c"]\nCMD a\n', []],
    ['FROM scratch AS a\nSHELL ["/bin/bash", "-c"]\nFROM a\nCMD a\n', []],
    [
      "FROM scratch\nWORKDIR a\nWORKDIR b\n",
      ['2 WorkdirRelativePath: Relative workdir "a" can have unexpected results if the base image changes'],
    ],
    ["FROM scratch AS x\nWORKDIR /a\nFROM x\nWORKDIR b\n", []],
    ["FROM scratch\nENV w=/x\nWORKDIR $w\n", []],
    ["FROM scratch\nCOPY $foo /x\n", ["2 UndefinedVar: Usage of undefined variable '$foo'"]],
    ["FROM scratch\nENV PATH=$PAHT:/x\n", ["2 UndefinedVar: Usage of undefined variable '$PAHT' (did you mean $PATH?)"]],
    ["FROM scratch\nARG foo\nCOPY $foo /x\n", []],
    ["FROM scratch\nARG v=$foo\n", ["2 UndefinedVar: Usage of undefined variable '$foo'"]],
    ["FROM scratch\nLABEL a=$b a=$b c='$d' e=\\$f\n", ["2 UndefinedVar: Usage of undefined variable '$b'"]],
    ["FROM scratch\nRUN --mount=type=cache,target=$x true $y\n", ["2 UndefinedVar: Usage of undefined variable '$x'"]],
    ["FROM scratch\nCOPY <<a <<'b' /x/\n$foo\na\n$bar\nb\n", ["2 UndefinedVar: Usage of undefined variable '$foo'"]],
    ["FROM scratch AS a\nENV foo=1\nFROM a\nUSER $foo\n", []],
    ["ARG foo=1\nFROM scratch\nUSER $foo\n", ["3 UndefinedVar: Usage of undefined variable '$foo'"]],
    ["FROM scratch\nUSER $TARGETARCH\n", ["2 UndefinedVar: Usage of undefined variable '$TARGETARCH'"]],
    ["FROM scratch\nARG TARGETARCH\nUSER $TARGETARCH\n", []],
    ["FROM unknown\nUSER $foo\n", []],
    ["ARG base=scratch\nFROM $base\n", []],
    ["FROM --platform=$BUILDPLATFORM scratch\n", []],
    [
      "FROM --platform=$BULIDPLATFORM scratch\n",
      ["1 UndefinedArgInFrom: FROM argument 'BULIDPLATFORM' is not declared (did you mean BUILDPLATFORM?)"],
    ],
    ["ARG tag=1\nFROM busybox:${tag}${version}\n", ["2 UndefinedArgInFrom: FROM argument 'version' is not declared"]],
    [
      "ARG tag\nFROM busybox:${tag}\n",
      ["2 InvalidDefaultArgInFrom: Default value for ARG busybox:${tag} results in empty or invalid base image name"],
    ],
    ["ARG tag\nFROM busybox:${tag:-1}\n", []],
    [
      "FROM --platform=$TARGETPLATFORM scratch\n",
      ["1 RedundantTargetPlatform: Setting platform to predefined $TARGETPLATFORM in FROM is redundant as this is the default behavior"],
    ],
    [
      "FROM --platform=linux/amd64 scratch AS build\n",
      ['1 FromPlatformFlagConstDisallowed: FROM --platform flag should not use constant value "linux/amd64"'],
    ],
    ["FROM --platform=linux/amd64 scratch AS build_amd64\n", []],
    ["FROM --platform=linux/amd64 scratch AS linux\n", []],
    [
      "FROM scratch\nARG API_KEY DB_PASSWORD=x\nENV token=1 auth_file=2 PUBLIC_KEY=3 keys=4\n",
      [
        '2 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG "API_KEY")',
        '2 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ARG "DB_PASSWORD")',
        '3 SecretsUsedInArgOrEnv: Do not use ARG or ENV instructions for sensitive data (ENV "token")',
      ],
    ],
    ["FROM scratch\nEXPOSE 80/TCP 53/udp\n", ["2 ExposeProtoCasing: Defined protocol '80/TCP' in EXPOSE instruction should be lowercase"]],
    [
      "FROM scratch\nENV p='80:81 1'\nEXPOSE $p 127.0.0.1:80:80\n",
      ["127.0.0.1:80:80", "80:81"]
        .map((port) => `3 ExposeInvalidFormat: EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`)
        .toReversed(),
    ],
    // What is wrong altogether fails in the build.
    ["FROM scratch\nEXPOSE x\nLABEL a=${\nUSER $u\n", ["4 UndefinedVar: Usage of undefined variable '$u'"]],
    ["ARG a=${\nFROM scratch\nCMD x\n", []],
    ["ARG a=scr\nARG b=${a}atch\nFROM $b\nUSER $x\n", ["4 UndefinedVar: Usage of undefined variable '$x'"]],
  ])("%j", (text, expected) => {
    expect(findings(text)).toEqual(expected);
  });

  test("variables of base images and of the command line", () => {
    const options: LintOptions = { environmentOf: (image) => (image === "x" ? ["FOO=1"] : undefined), buildArgs: new Map([["base", "x"]]) };
    expect(findings("ARG base=y\nFROM $base\nUSER $FOO $BAR\n", options)).toEqual(["3 UndefinedVar: Usage of undefined variable '$BAR'"]);
  });

  test("sources that the ignore file leaves out", () => {
    const text = "FROM scratch AS a\nCOPY a ./b/c /x/\nADD c http://h/a /x/\nCOPY --from=a a /x\nCOPY . /x/\n";
    const told = (line: number, verb: string, path: string): string =>
      `${line} CopyIgnoredFile: Attempting to ${verb} file "${path}" that is excluded by .dockerignore`;
    expect(findings(text, { ignorePatterns: ["a", "b"] })).toEqual([told(2, "Copy", "a"), told(2, "Copy", "b/c")]);
    expect(findings(text, { ignorePatterns: ["a", "!a"] })).toEqual([]);
    expect(findings("FROM scratch\nADD c /x\nCOPY . /x/\n", { ignorePatterns: ["*"] })).toEqual([
      told(2, "Add", "c"),
      told(3, "Copy", "."),
    ]);
  });
});

describe("comments as descriptions", () => {
  const experimental = "# check=experimental=InvalidDefinitionDescription\n";

  test.each([
    ["# v is it\nARG v=1\nFROM scratch\n", []],
    ["# it\nARG v=1\nFROM scratch\n", ["3 InvalidDefinitionDescription: Comment for ARG should follow the format: `# v <description>`"]],
    ["# it\n\nARG v=1\nFROM scratch\n", []],
    ["# it\n#\nARG v=1\nFROM scratch\n", []],
    [
      "# it\nARG v w\nFROM scratch\n",
      ["3 InvalidDefinitionDescription: Comment for ARG should follow the format: `# <arg_key> <description>`"],
    ],
    ["# it\nFROM scratch AS b\n", ["3 InvalidDefinitionDescription: Comment for FROM should follow the format: `# b <description>`"]],
    ["# it\nFROM scratch\n# it\nUSER x\n", []],
  ])("%j", (text, expected) => {
    expect(findings(experimental + text)).toEqual(expected);
    expect(findings(text)).toEqual([]);
  });
});

describe("what is skipped", () => {
  const text = "FROM scratch AS A\nCMD x\n";

  test.each([
    ["", ["1 StageNameCasing", "2 JSONArgsRecommended"]],
    ["# check=skip=StageNameCasing\n", ["3 JSONArgsRecommended"]],
    ["# check=skip=StageNameCasing,JSONArgsRecommended\n", []],
    ["# check = skip=StageNameCasing;error=false // as it must be\n", ["3 JSONArgsRecommended"]],
    ["# check=skip=all\n", []],
    ["# check=error=true\n", ["2 StageNameCasing", "3 JSONArgsRecommended"]],
    ["\n# check=skip=StageNameCasing // as it must be\n", ["4 JSONArgsRecommended"]],
    ["\n# check=skip=all\n", ["4 JSONArgsRecommended"]],
    ["\n# check=nonsense\n", ["3 StageNameCasing", "4 JSONArgsRecommended"]],
  ])("%j", (top, expected) => {
    expect(findings(top + text).map((line) => line.split(":")[0])).toEqual(expected);
  });

  test("findings that are errors", () => {
    const file = parseDockerfile(`# check=skip=StageNameCasing;error=true\n${text}`);
    expect(lintFailure(file, lint(file))).toBe("lint violation found for rules: JSONArgsRecommended");
    expect(lintFailure(file, [])).toBeUndefined();
    const harmless = parseDockerfile(text);
    expect(lintFailure(harmless, lint(harmless))).toBeUndefined();
  });

  test.each(["# check=skip\nFROM x\n", "# check=foo=bar\nFROM x\n", "# check=error=maybe\nFROM x\n"])("%j is an error", (bad) => {
    expect(() => parseDockerfile(bad)).toThrow("failed to parse Dockerfile: ");
  });
});

test("each rule has a description", () => {
  expect(Object.keys(LINT_RULES)).toHaveLength(21);
});
