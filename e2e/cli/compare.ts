import { expect } from "vitest";

import type { TestDaemon } from "../../src/testing/daemon.ts";
import type { Output } from "../../src/testing/run.ts";

/**
 * The same command lines through `docker` and through `tsubo`. A line is shell text in which $CLI stands for the program; the outcome is
 * what a user sees: both streams and the exit code.
 */
export type Program = "docker" | "tsubo";

/**
 * A call may show how many seconds ago something was: it is tried again where a second went by between the two. The first time both run
 * side by side, which is faster; afterwards one by one, for those that see each other.
 */
const TRIES = 4;

/** Compares calls that change nothing. */
export async function expectSame(daemon: TestDaemon, lines: readonly string[]): Promise<void> {
  const differing: { line: string; docker: Output; tsubo: Output }[] = [];
  for (const line of lines) {
    for (let attempt = 1; ; attempt += 1) {
      const [docker, tsubo] =
        attempt === 1
          ? await Promise.all([outcome(daemon, "docker", line), outcome(daemon, "tsubo", line)])
          : [await outcome(daemon, "docker", line), await outcome(daemon, "tsubo", line)];
      if (isSame(docker, tsubo)) break;
      if (attempt < TRIES) continue;
      differing.push({ line, docker, tsubo });
      break;
    }
  }
  expect(differing.map(({ line, tsubo }) => ({ line, ...tsubo }))).toEqual(differing.map(({ line, docker }) => ({ line, ...docker })));
}

/** Compares calls that build on one another, in order: each program has objects of its own, whose names begin with $N. */
export async function expectSameStory(daemon: TestDaemon, lines: readonly string[]): Promise<void> {
  const told: Record<Program, (Output & { line: string })[]> = { docker: [], tsubo: [] };
  for (const program of ["docker", "tsubo"] as const) {
    for (const line of lines) {
      const seen = await outcome(daemon, program, line, { N: NAMES[program] });
      told[program].push({ line, code: seen.code, stdout: withoutIds(seen.stdout), stderr: withoutIds(seen.stderr) });
    }
  }
  expect(told.tsubo).toEqual(told.docker);
}

/** Of the same length: they stand in columns. */
const NAMES: Readonly<Record<Program, string>> = { docker: "story-d", tsubo: "story-t" };

async function outcome(daemon: TestDaemon, program: Program, line: string, env: Record<string, string> = {}): Promise<Output> {
  const { code, stdout, stderr } = await daemon.run(["sh", "-c", line], { env: { CLI: daemon.pathOf(program), ...env } });
  return { code, stdout: withoutTransfer(stdout), stderr: inOneVoice(stderr) };
}

function isSame(a: Output, b: Output): boolean {
  return a.code === b.code && a.stdout === b.stdout && a.stderr === b.stderr;
}

/** Each program calls itself by its own name, and knows how its own daemon is started; `docker` says that it would rather build otherwise. */
function inOneVoice(text: string): string {
  return (
    text
      // What its library logs of an archive that nobody took.
      .replaceAll(/^time=".*closed pipe"\n/gm, "")
      .replaceAll(/^DEPRECATED: The legacy builder[^]*?\n\n/gm, "")
      .replaceAll(/\bdocker\b/g, "tsubo")
      // A slip of docker 28.2.
      .replaceAll(/^SRun '/gm, "Run '")
      .replaceAll(/Cannot connect to the .*(\n.*-H, TSUBO_HOST.*)?/g, "Cannot connect")
  );
}

/** Our engine reads the context of a build where it lies; docker sends it. */
function withoutTransfer(text: string): string {
  return text.replaceAll(/^Sending build context to Docker daemon .*\r\r\n/gm, "");
}

function withoutIds(text: string): string {
  return text
    .replaceAll(/\b[0-9a-f]{64}\b/g, "<id>")
    .replaceAll(/\b[0-9a-f]{12}\b/g, "<short id>")
    .replaceAll(/\bstory-[dt]/g, "story");
}
