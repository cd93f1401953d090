import { expect, test } from "vitest";

import { EngineError } from "../../../base/errors.ts";
import { expand, expandWords } from "../../../dockerfile/expand.ts";
import { lint } from "./lint.ts";
import { parseDockerfile } from "../../../dockerfile/parse.ts";
import { checkStageReferences } from "../../../dockerfile/stages.ts";
import { DockerfileError } from "../../../dockerfile/dockerfile-error.ts";
import type { Dockerfile, Instruction, Range } from "../../../dockerfile/syntax.ts";

/**
 * Files that nobody would write, from a seeded generator: whatever they hold, they are parsed or refused with a place in them, and what was
 * parsed says where it stands.
 */

const RUNS = 4000;

/** A generator of its own, so that a failure can be had again (mulberry32). */
class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed;
  }

  below(limit: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error("nothing to pick from");
    return item;
  }

  text(parts: readonly string[], most: number): string {
    return Array.from({ length: this.below(most + 1) }, () => this.pick(parts)).join("");
  }
}

const KEYWORDS = (
  "FROM RUN COPY ADD ENV ARG LABEL WORKDIR CMD ENTRYPOINT USER EXPOSE VOLUME SHELL STOPSIGNAL HEALTHCHECK ONBUILD MAINTAINER " +
  "from Run cOPY BOGUS <<EOF # \\"
).split(" ");
const FLAGS = (
  "--from=a --from=0 --chown=1:2 --link --link=false --parents --exclude=*.o --platform=$P --mount=type=cache,target=/x " +
  "--mount=type=bind,from=a,target=$y --network=none --interval=5s --retries=3 --checksum=sha256:0 --keep-git-dir --bad --=x -- --x='a b'"
).split(" ");
const PLAIN_WORDS =
  'a b=c a=$b ${c:-d} ${e#*/} ${f//x/y} ${ } $ \\ ` \' " [ ] "a" ["a","b"] <<EOF <<-\'E\' <<"X" 3<<Y AS as NONE CMD 80/tcp scratch'.split(
    " ",
  );
const BREAKS = [" ", "  ", "\t", "\\\n", "\\ \n", "`\n", "\n", "\r\n", "\\\r\n", "# x\n", "\n\n"];
const TERMINATORS = ["\nEOF\n", "\nE\n", "\n\tE\n", "\nX\n", "\nY\n"];
const WORDS = [...PLAIN_WORDS, ...BREAKS, ...TERMINATORS, "\u00a0", "é", "😀", "\ufeff", "\0", "\u2028", "\ud800"];
const TOPS = [
  "",
  "",
  "",
  "\ufeff",
  "# escape=`\n",
  "# syntax=x\n",
  "# check=skip=all\n",
  "#!/bin/x\n",
  "# escape=\\\n# escape=\\\n",
  "ARG x=1\n",
];

function randomFile(random: Random): string {
  let text = random.pick(TOPS);
  if (random.below(4) > 0) text += `FROM scratch${random.pick(["", " AS a", " as A"])}\n`;
  for (let left = random.below(8); left > 0; left -= 1) {
    text += `${random.pick(KEYWORDS)} `;
    if (random.below(3) === 0) text += `${random.pick(FLAGS)} `;
    const words = random.below(6);
    for (let index = 0; index < words; index += 1) text += random.pick(WORDS) + random.pick(["", " ", " "]);
    text += random.pick(["\n", "\n", "\r\n", "\\\n", "\nEOF\n"]);
  }
  return text;
}

/** A file that was fine, with characters taken out, doubled or put in. */
function mutated(text: string, random: Random): string {
  let result = text;
  for (let left = random.below(4); left > 0; left -= 1) {
    const at = random.below(result.length + 1);
    result = result.slice(0, at) + random.text(WORDS, 2) + result.slice(at + random.below(3));
  }
  return result;
}

const GOOD = `# syntax=docker/dockerfile:1
ARG VERSION=3
FROM --platform=$BUILDPLATFORM alpine:\${VERSION} AS build
# for the next step
RUN --mount=type=cache,target=/root/.cache \\
    --mount=type=secret,id=token \\
    make && \\
    # and now
    make install
COPY --from=build --chown=1000:1000 ["a b", "/c/"]
COPY <<EOF <<-'X' /etc/
a $b
EOF
	c
	X
ENV A=b C="d e" F=\\$g
HEALTHCHECK --interval=1m CMD ["x"]
ONBUILD RUN echo
EXPOSE 80 443/tcp
CMD exec x "$@"
`;

test(`${RUNS} files: an error says where, and nothing else is thrown`, () => {
  const problems: string[] = [];
  let parsed = 0;
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const random = new Random(seed);
    const text = random.below(2) === 0 ? randomFile(random) : mutated(GOOD, random);
    const file = attempt(() => parseDockerfile(text));
    if (!(file instanceof Error)) parsed += 1;
    const found = file instanceof Error ? problemsOfError(file) : problemsOfFile(file);
    problems.push(...found.map((problem) => `seed ${seed}: ${problem}`));
  }
  expect(problems).toEqual([]);
  // Neither all nor none of them are Dockerfiles.
  expect(parsed).toBeGreaterThan(RUNS / 20);
  expect(parsed).toBeLessThan(RUNS - RUNS / 20);
});

test(`${RUNS} words: expanded or refused, and unset variables stay when asked to`, () => {
  const lookup = (name: string): string | undefined => (name.length > 1 ? undefined : name.repeat(3));
  const keep = { keepUnset: true, keepQuotes: true, keepEscapes: true };
  const problems: string[] = [];
  for (let seed = 1; seed <= RUNS; seed += 1) {
    const random = new Random(seed);
    const word = random.text([...WORDS, "${", "}", ":-", ":?", "#", "%%", "/", "*", "$$", "${a", "x}"], 8);
    const escape = random.pick(["\\", "`"] as const);
    const results = [
      attempt(() => expand(word, lookup, escape).text),
      attempt(() => expandWords(word, lookup, escape)),
      attempt(() => expand(word, () => undefined, escape, keep).text),
    ];
    for (const result of results)
      if (result instanceof Error && !(result instanceof EngineError)) problems.push(`seed ${seed}: ${result.stack}`);
    if (typeof results[2] === "string" && results[2] !== word && !word.includes("{"))
      problems.push(`seed ${seed}: ${word} became ${results[2]}`);
  }
  expect(problems).toEqual([]);
});

function attempt<Result>(work: () => Result): Result | Error {
  try {
    return work();
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function problemsOfError(error: Error): string[] {
  if (!(error instanceof DockerfileError)) return [error.stack ?? error.message];
  if (!isInside(error.range, error.source)) return [`out of the file: ${error.message} ${JSON.stringify(error.range)}`];
  return /^ *\d+ \| /.test(error.excerpt()) ? [] : [`no excerpt: ${error.message}`];
}

function problemsOfFile(file: Dockerfile): string[] {
  const references = attempt(() => checkStageReferences(file));
  const findings = attempt(() => lint(file));
  const outside = findings instanceof Error ? [] : findings.filter(({ range }) => !isInside(range, file.source));
  return [
    ...(references instanceof Error ? problemsOfError(references) : []),
    ...(findings instanceof Error ? [findings.stack ?? findings.message] : outside.map(({ rule }) => `${rule} is out of the file`)),
    ...problemsOfPositions(file),
  ];
}

/** Instructions follow each other, and each begins with its keyword. */
function problemsOfPositions(file: Dockerfile): string[] {
  const lines = file.source.split("\n");
  const ofStages = file.stages.flatMap(({ from, instructions }): (Instruction | typeof from)[] => [from, ...instructions]);
  const all = [...file.globalArgs, ...ofStages];
  let lastLine = 0;
  const wrong = all.filter(({ range, keyword, original }) => {
    const begin = (lines[range.start.line - 1] ?? "").slice(range.start.column);
    // A keyword may itself be continued on the next line.
    const begins = begin.startsWith(keyword) || keyword.startsWith(begin.replace(/[\\`]?[ \t\r]*$/, ""));
    const isRight = isInside(range, file.source) && range.start.line > lastLine && begins && original.startsWith(keyword);
    lastLine = range.end.line;
    return !isRight;
  });
  const counted = all.length === file.instructionCount ? [] : [`${file.instructionCount} instructions and not ${all.length}`];
  return [...counted, ...wrong.map(({ original, range }) => `${original} at ${JSON.stringify(range)}`)];
}

function isInside({ start, end }: Range, source: string): boolean {
  const lines = source.split("\n");
  const isPlace = ({ line, column }: Range["start"]): boolean =>
    line >= 1 && line <= lines.length && column <= (lines[line - 1]?.length ?? 0);
  const isForward = start.line < end.line || (start.line === end.line && start.column <= end.column);
  return isPlace(start) && isPlace(end) && isForward;
}
