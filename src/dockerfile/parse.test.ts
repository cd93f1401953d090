import { describe, expect, test } from "vitest";

import { parseDockerfile, parseInstruction } from "./parse.ts";
import { scriptOf } from "./run.ts";
import { DockerfileError } from "./dockerfile-error.ts";
import type { Instruction } from "./syntax.ts";

/** The instructions of one stage after `FROM scratch`. */
function instructions(text: string): Instruction[] {
  const [stage] = parseDockerfile(`FROM scratch\n${text}`).stages;
  return stage?.instructions ?? [];
}

function instruction(text: string): Instruction {
  const list = instructions(text);
  if (list.length !== 1 || list[0] === undefined) throw new Error(`${list.length} instructions in ${text}`);
  return list[0];
}

function failure(text: string): DockerfileError {
  try {
    parseDockerfile(text);
  } catch (error) {
    if (error instanceof DockerfileError) return error;
    throw error;
  }
  throw new Error(`no error from ${JSON.stringify(text)}`);
}

describe("the lines of a step as the classic builder prints them", () => {
  test.each([
    ["RUN a \\\n  b", "RUN a   b"],
    ["  RUN a  ", "RUN a"],
    ["RUN a \\\n# comment\n\n  b", "RUN a   b"],
    ["RUN a \\  \t\n  b", "RUN a   b"],
    ["RUN a\\\\", "RUN a\\\\"],
    ["RUN a \\\r\n  b\r\n", "RUN a   b"],
    ["run --network=none a", "run --network=none a"],
    ["COPY <<EOF /x\nhi\nEOF", "COPY <<EOF /x"],
    ["RUN a \\", "RUN a"],
  ])("%j", (text, original) => {
    expect(instruction(text).original).toBe(original);
  });
});

describe("instructions", () => {
  test.each<[string, object]>([
    ["RUN echo hi", { kind: "run", command: { form: "shell", text: "echo hi" } }],
    ['RUN ["a", "b c"]', { kind: "run", command: { form: "exec", words: ["a", "b c"] } }],
    ['RUN ["a", ]', { kind: "run", command: { form: "shell", text: '["a", ]' } }],
    ["RUN ['a']", { kind: "run", command: { form: "shell", text: "['a']" } }],
    ["CMD", { kind: "cmd", command: { form: "shell", text: "" } }],
    ["CMD []", { kind: "cmd", command: { form: "exec", words: [] } }],
    ["ENTRYPOINT top -b", { kind: "entrypoint", command: { form: "shell", text: "top -b" } }],
    ["COPY a b /c/", { kind: "copy", sources: ["a", "b"], destination: "/c/", link: false, parents: false, excludes: [] }],
    ["COPY --from=x --chown=1:2 --chmod=755 --link a /b", { from: "x", chown: "1:2", chmod: "755", link: true }],
    ["COPY --exclude=*.o --exclude=*.a --parents a /b", { excludes: ["*.o", "*.a"], parents: true }],
    ['COPY ["a b", "/c"]', { sources: ["a b"], destination: "/c" }],
    [
      "ADD --checksum=sha256:00 --keep-git-dir=false --unpack http://x/y /",
      { kind: "add", checksum: "sha256:00", keepGitDir: false, unpack: true },
    ],
    ["ENV a=b c='d e' f=\"g\"", { pairs: [p("a", "b"), p("c", "'d e'"), p("f", '"g"')] }],
    ["ENV a=b\\ c", { pairs: [p("a", "b\\ c")] }],
    ["ENV a b  c ", { pairs: [{ name: "a", value: "b  c", legacy: true }] }],
    ["LABEL a.b=c d=", { kind: "label", pairs: [p("a.b", "c"), p("d", "")] }],
    ["ARG a b=1 c=", { kind: "arg", pairs: [{ name: "a" }, { name: "b", value: "1" }, { name: "c", value: "" }] }],
    ["WORKDIR /a b", { kind: "workdir", path: "/a b" }],
    ["USER $u", { kind: "user", user: "$u" }],
    ["EXPOSE 80 22/udp", { kind: "expose", ports: ["22/udp", "80"] }],
    ['VOLUME ["/a"," /b "]', { kind: "volume", paths: ["/a", "/b"] }],
    ["VOLUME /a /b", { paths: ["/a", "/b"] }],
    ['SHELL ["/bin/bash", "-c"]', { kind: "shell", words: ["/bin/bash", "-c"] }],
    ["STOPSIGNAL SIGKILL", { kind: "stopsignal", signal: "SIGKILL" }],
    ["MAINTAINER me <me@x>", { kind: "maintainer", name: "me <me@x>" }],
    ["HEALTHCHECK NONE", { kind: "healthcheck", test: ["NONE"] }],
    [
      "HEALTHCHECK --interval=1m30s --timeout=500ms --start-period=1h --start-interval=2s --retries=3 CMD a b",
      {
        test: ["CMD-SHELL", "a b"],
        intervalNs: 90e9,
        timeoutNs: 5e8,
        startPeriodNs: 3600e9,
        startIntervalNs: 2e9,
        retries: 3,
      },
    ],
    ['HEALTHCHECK CMD ["a"]', { test: ["CMD", "a"] }],
    ["ONBUILD RUN  a", { kind: "onbuild", trigger: "RUN  a", instruction: { kind: "run", original: "RUN  a" } }],
  ])("%s", (text, expected) => {
    expect(instruction(text)).toMatchObject(expected);
  });

  function p(name: string, value: string): object {
    return { name, value, legacy: false };
  }
});

test("stages, names and global ARGs", () => {
  const file = parseDockerfile("ARG v=1\nARG w\nFROM --platform=$P alpine:$v AS Build\nRUN a\nfrom build\nRUN b\nRUN c\n");
  expect(file.globalArgs.map(({ pairs }) => pairs)).toEqual([[{ name: "v", value: "1" }], [{ name: "w" }]]);
  expect(file.stages.map(({ name, index }) => [name, index])).toEqual([
    ["build", 0],
    [undefined, 1],
  ]);
  expect(file.stages[0]?.from).toMatchObject({
    image: "alpine:$v",
    platform: "$P",
    stageName: "Build",
    original: "FROM --platform=$P alpine:$v AS Build",
  });
  expect(file.instructionCount).toBe(7);
});

describe("heredocs", () => {
  test("bodies follow in the order of their names", () => {
    expect(instructions("COPY <<a <<-'b' c /d/\n1 $x\na\n\t\t2\n\tb\nRUN c")).toMatchObject([
      {
        sources: ["c"],
        destination: "/d/",
        heredocs: [
          { name: "a", content: "1 $x\n", expand: true, chomp: false },
          { name: "b", content: "2\n", expand: false, chomp: true },
        ],
      },
      { kind: "run" },
    ]);
  });

  test.each<[string, object]>([
    ["RUN <<EOF\na\nb\nEOF", { form: "shell", text: "a\nb\n" }],
    ["RUN <<-EOF\n\ta\n\t\tb\n\tEOF", { form: "shell", text: "a\nb\n" }],
    ["RUN <<EOF\n#!/usr/bin/env python\nx\nEOF", { form: "file", path: "/dev/pipes/EOF", content: "#!/usr/bin/env python\nx\n" }],
    ["RUN cat <<a <<-b > c\n1\na\n\t2\n\tb", { form: "shell", text: "cat <<a <<-b > c\n1\na\n\t2\nb" }],
    ['RUN ["echo", "<<EOF"]', { form: "exec", words: ["echo", "<<EOF"] }],
    ['RUN echo "<<EOF"', { form: "shell", text: 'echo "<<EOF"' }],
    ["RUN cat <<<EOF", { form: "shell", text: "cat <<<EOF" }],
  ])("%j", (text, script) => {
    const run = instruction(text);
    if (run.kind !== "run") throw new Error("no RUN");
    expect(scriptOf(run)).toEqual(script);
  });
});

describe("errors", () => {
  test.each([
    ["FROM x\nBOGUS y", "dockerfile parse error on line 2: unknown instruction: BOGUS", 2],
    ["FROM x\nRNU y", "dockerfile parse error on line 2: unknown instruction: RNU (did you mean RUN?)", 2],
    ["RUN x", "no build stage in current context", 1],
    ["# nothing\n", "failed to parse Dockerfile: file with no instructions", 1],
    ["FROM x\nENV a", "failed to parse Dockerfile: ENV must have two arguments", 2],
    ["FROM x\nCOPY <<EOF /a\nb", "failed to parse Dockerfile: unterminated heredoc", 2],
    [
      "FROM x\n\nCOPY a",
      "dockerfile parse error on line 3: COPY requires at least two arguments, but only one was provided. Destination could not be determined",
      3,
    ],
    ["FROM x\nCOPY --form=y a b", "dockerfile parse error on line 2: unknown flag: --form (did you mean from?)", 2],
  ])("%j", (text, message, line) => {
    const error = failure(text);
    expect(error.message).toBe(message);
    expect(error.range.start.line).toBe(line);
  });

  test("quote the line and point at the word", () => {
    expect(failure("FROM x\nCOPY --from=a \\\n  --chwon=1 a /b\n").excerpt()).toBe("3 |   --chwon=1 a /b\n  |   ^^^^^^^^^");
  });
});

test("one instruction by itself", () => {
  expect(parseInstruction("ENV a=1")).toMatchObject({ kind: "env" });
  expect(() => parseInstruction("FROM x")).toThrow(/^FROM is not allowed here$/);
  expect(() => parseInstruction("BOGUS x")).toThrow(/^unknown instruction: BOGUS$/);
  expect(() => parseInstruction("ENV a")).toThrow(/^ENV must have two arguments$/);
  expect(() => parseInstruction("ENV a=b\nENV c=d")).toThrow(/^onbuild trigger should be a single expression$/);
});
