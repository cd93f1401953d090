import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import path from "node:path";
import { buffer } from "node:stream/consumers";
import { setTimeout as nextFrame } from "node:timers/promises";

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { hasDockerCli } from "../src/testing/daemon.ts";
import { expectSameStory } from "./cli/compare.ts";
import { converse, converseInTerminal } from "./cli/process.ts";
import { screenOf } from "./cli/screen.ts";
import { buildStory } from "./cli/build-lines.ts";
import { useDaemon } from "./harness.ts";
import { removeImages } from "./images/pulls.ts";

/** `docker build` and `tsubo build`, with the same words and the same bytes. */

const daemon = useDaemon();
let folder: string;

beforeAll(() => {
  folder = mkdtempSync("/tmp/tsubo-cli-build-");
});
beforeEach(({ skip }) => skip(!hasDockerCli(), "there is no docker on PATH to compare with"));
afterEach(() => removeImages(daemon()));
afterAll(() => rmSync(folder, { recursive: true }));

test("builds read the same", { timeout: 240_000 }, async () => {
  await expectSameStory(
    daemon(),
    buildStory.map((line) => line.replaceAll("$D", folder)),
  );
});

test("a quiet build that fails tells all after all, and ends with the step's exit code", async () => {
  for (const program of ["docker", "tsubo"] as const) {
    const dockerfile = "FROM busybox\nRUN echo why; exit 3\n";
    const { code, stdout, stderr } = await daemon().run([daemon().pathOf(program), "build", "-q", "-"], { input: dockerfile });
    expect([program, code, stdout]).toEqual([program, 3, ""]);
    expect(stderr).toMatch(/\nStep 2\/2 : RUN echo why; exit 3\n ---> Running in [0-9a-f]{12}\nwhy\nThe command .* non-zero code: 3\n$/);
  }
});

test("the context that is sent is the same, byte for byte, and so is what is asked for", async () => {
  const context = path.join(folder, "odd");
  mkdirSync(context);
  execFileSync("sh", ["-ec", ODD_TREE], { cwd: context });
  const { socketPath, sent, recorder } = await openRecorder();
  try {
    const flags =
      "-t a:1 -t b --build-arg B=1 --build-arg A --build-arg NOSUCH --label a=b --ulimit nofile=1:2 -m 1g --memory-swap -1 --cache-from a,b";
    const more =
      "--add-host a:1.2.3.4 --security-opt x --shm-size 1m --network host --no-cache --rm=false --force-rm --pull --target x -c 5";
    for (const program of ["docker", "tsubo"] as const) {
      const command = [daemon().pathOf(program), "-H", `unix://${socketPath}`, "build", ...`${flags} ${more}`.split(" "), context];
      const { code, stdout } = await daemon().run(command, { env: { A: "env" } });
      expect([program, code, stdout]).toEqual([
        program,
        0,
        expect.stringMatching(/^Sending build context to Docker daemon +[\d.]+kB\r\r\nok\n$/),
      ]);
    }
  } finally {
    recorder.close();
  }
  const [theirs, ours] = sent;
  // Go writes the keys of an object in order, and parameters in that of their names.
  const asked = (url = ""): unknown =>
    [...new URL(url, "http://engine").searchParams]
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]): [string, unknown] => [key, /^[[{]/.test(value) ? JSON.parse(value) : value]);
  expect(asked(ours?.url)).toEqual(asked(theirs?.url));
  expect(ours?.archive.equals(theirs?.archive ?? Buffer.alloc(0))).toBe(true);
});

describe("the engine on the same machine", () => {
  /** A folder with a Dockerfile that lists what there is of it. */
  function contextWith(files: Record<string, string>): string {
    const context = mkdtempSync(path.join(folder, "context-"));
    const dockerfile = 'FROM busybox\nCOPY . /x\nCMD ["sh", "-c", "cd /x && find . -type f | sort | xargs grep -H ."]\n';
    for (const [name, content] of Object.entries({ Dockerfile: dockerfile, ...files })) writeFileSync(path.join(context, name), content);
    return context;
  }
  const built = async (...args: string[]): Promise<string> =>
    daemon().tsuboOk("run", "--rm", await daemon().tsuboOk("build", "-q", ...args));

  test("reads the context where it lies, and sees what changed", async () => {
    const context = contextWith({ a: "1", b: "2", ".dockerignore": "Dockerfile\n.dockerignore\nb\n" });
    const { stdout } = await daemon().tsubo("build", context);
    expect(stdout).toMatch(/^Step 1\/3 : FROM busybox\n/);
    expect(await built(context)).toBe("./a:1");
    expect((await daemon().tsubo("build", context)).stdout.match(/Using cache/g)).toHaveLength(2);
    writeFileSync(path.join(context, "a"), "2");
    expect(await built(context)).toBe("./a:2");
  });

  test("has the same cache for it as if it were sent", async () => {
    const context = contextWith({ a: "1" });
    symlinkSync("a", path.join(context, "link"));
    mkdirSync(path.join(context, "sub"), { mode: 0o700 });
    expect(await daemon().tsuboOk("build", "-q", context)).toBe(await daemon().dockerOk("build", "-q", context));
  });

  test("takes a Dockerfile from elsewhere, with an ignore file of its own", async () => {
    const context = contextWith({ a: "1", b: "2", ".dockerignore": "*\n" });
    const elsewhere = mkdtempSync(path.join(folder, "elsewhere-"));
    const file = path.join(elsewhere, "Dockerfile");
    writeFileSync(file, 'FROM busybox\nCOPY . /x\nCMD ["ls", "-A", "/x"]\n');
    expect(await built("-f", file, context)).toBe("");
    writeFileSync(`${file}.dockerignore`, "*\n!b\n");
    expect(await built("-f", file, context)).toBe("b");
    writeFileSync(path.join(context, "Dockerfile.dockerignore"), "*ockerfile*\n.dockerignore\na\n");
    expect(await built(context)).toBe("./b:2");
  });

  test("is sent a folder that it sees another in place of", async () => {
    const context = contextWith({ a: "theirs" });
    const inside = `mount -t tmpfs none ${context} && printf 'FROM busybox\\nCOPY a /a\\nRUN cat /a\\n' >${context}/Dockerfile && echo mine >${context}/a`;
    const { code, stdout } = await daemon().run(["unshare", "-m", "sh", "-c", `${inside} && ${daemon().pathOf("tsubo")} build ${context}`]);
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^Sending build context to Docker daemon +[\d.]+kB\r\r\n[^]*\nmine\n/)]);
  });
});

describe("what only our engine understands", () => {
  /** Builds a Dockerfile in an empty folder; what it says, both streams. */
  async function build(dockerfile: string, ...flags: string[]): Promise<{ code: number; said: string }> {
    const file = path.join(folder, "own.Dockerfile");
    writeFileSync(file, dockerfile);
    const context = mkdtempSync(path.join(folder, "empty-"));
    const command = [daemon().pathOf("tsubo"), "build", "-f", file, ...flags, context];
    const { code, stdout, stderr } = await daemon().run(command, { env: { TOKEN: "from a variable" } });
    return { code, said: stdout + stderr };
  }

  test("secrets are seen by the RUN that asks for them, up to 500 KiB, and by nobody else", async () => {
    const file = path.join(folder, "secret");
    writeFileSync(file, Buffer.alloc(500 * 1024, "s"));
    const mount = (id: string): string => `RUN --mount=type=secret,id=${id} `;
    const dockerfile = `FROM busybox\n${mount("a")}wc -c </run/secrets/a\n${mount("b")}cat /run/secrets/b\nRUN ls -A /run/secrets || echo none\n`;
    const { code, said } = await build(dockerfile, "--secret", `id=a,src=${file}`, "--secret", "id=b,env=TOKEN", "-t", "secrets");
    expect([code, said]).toEqual([0, expect.stringMatching(/\n512000\n[^]*\nfrom a variable[^]*\nSuccessfully tagged secrets:latest\n$/)]);
    const history = await daemon().tsuboOk("history", "--no-trunc", "secrets");
    expect(history).not.toContain("from a variable");
  });

  test("a folder has a name for --from", async () => {
    const other = mkdtempSync(path.join(folder, "other-"));
    writeFileSync(path.join(other, "file"), "of the other");
    const { code, said } = await build("FROM busybox\nCOPY --from=other file /f\nRUN cat /f\n", "--build-context", `other=${other}`);
    expect([code, said]).toEqual([0, expect.stringContaining("\nof the other")]);
  });

  test("a check names the mistakes and builds nothing", async () => {
    const { code, said } = await build("from busybox\nRUN true\nCMD echo\n", "--check");
    expect([code, said]).toEqual([1, expect.stringMatching(/^\nWARNING: ConsistentInstructionCasing: [^]*\nown\.Dockerfile:1\n/)]);
    expect(said).not.toContain("Step 1");
  });

  test("one stage can be built anew", async () => {
    const dockerfile = "FROM busybox AS one\nRUN echo first\nFROM busybox AS two\nRUN echo second\nCOPY --from=one /bin/sh /x\n";
    expect((await build(dockerfile)).code).toBe(0);
    const again = await build(dockerfile, "--no-cache-filter", "two");
    expect(again.said.match(/\n(first|second)\n/g)).toEqual(["\nsecond\n"]);
  });

  test("another engine is not asked for it", async () => {
    const { socketPath, sent, recorder } = await openRecorder();
    try {
      const ran = await daemon().run([
        daemon().pathOf("tsubo"),
        "-H",
        `unix://${socketPath}`,
        "build",
        "--check",
        "--secret",
        "id=x",
        folder,
      ]);
      expect([ran.code, ran.stderr]).toEqual([1, expect.stringMatching(/^--check, --secret: only Tsubo's engine understands that/)]);
      expect(sent).toEqual([]);
    } finally {
      recorder.close();
    }
  });

  test("an agent that is none is refused", async () => {
    const { code, said } = await build("FROM busybox\n", "--ssh", "default=/nosuch");
    expect([code, said]).toEqual([1, expect.stringMatching(/^--ssh default: \/nosuch is no socket/)]);
  });
});

test("a shell where a step failed: its folder, the files of those before it, the build's arguments; then the step's exit code", async () => {
  const file = path.join(folder, "fails");
  writeFileSync(file, "FROM busybox\nARG WHAT\nWORKDIR /work\nRUN echo made >file\nRUN exit 7\n");
  const context = mkdtempSync(path.join(folder, "empty-"));
  const command = `${daemon().pathOf("tsubo")} build --progress plain --shell-on-failure --build-arg WHAT=arguments -f ${file} ${context}`;
  const terminal = converseInTerminal(command, { DOCKER_HOST: `unix://${daemon().socketPath}` });
  await terminal.until("leave it to end the build");
  terminal.send("echo $(pwd) $(cat file) with $WHAT; exit\n");
  await terminal.until("/work made with arguments");
  expect(await terminal.ended()).toBe(7);
});

test.each([
  ["FROM busybox\nCOPY --form=x a \\\n  /b\n", "2 | COPY --form=x a \\\n  |      ^^^^^^^^"],
  ["FROM busybox\nRUN true\nLABEL a=${b:?missing}\n", "3 | LABEL a=${b:?missing}\n  | ^^^^^^^^^^^^^^^^^^^^^"],
  ["FROM busybox\nCOPY nothing \\\n  here\n", "2 | COPY nothing \\\n3 |   here"],
])("on a terminal an error quotes its line: %j", async (dockerfile, quoted) => {
  const file = path.join(folder, "wrong");
  writeFileSync(file, dockerfile);
  const command = `${daemon().pathOf("tsubo")} build --progress plain -f ${file} ${mkdtempSync(path.join(folder, "empty-"))}`;
  const terminal = converseInTerminal(command, { DOCKER_HOST: `unix://${daemon().socketPath}` });
  expect(await terminal.ended()).toBe(1);
  expect(terminal.said.replaceAll("\r\n", "\n")).toContain(`\n\n${quoted}\n`);
});

test("ctrl-c ends a build and the step that runs", async () => {
  const file = path.join(folder, "endless");
  writeFileSync(file, "FROM busybox\nRUN exec sleep 47114711\n");
  const context = mkdtempSync(path.join(folder, "empty-"));
  const building = converse([daemon().pathOf("tsubo"), "build", "-f", file, context], { DOCKER_HOST: `unix://${daemon().socketPath}` });
  const isRunning = async (): Promise<boolean> => (await daemon().run(["pgrep", "-f", "^sleep 47114711"])).code === 0;
  const becomes = async (wanted: boolean): Promise<boolean> => {
    for (const deadline = Date.now() + 20_000; (await isRunning()) !== wanted && Date.now() < deadline;) await nextFrame(20);
    return isRunning();
  };
  await building.until("Running in");
  expect(await becomes(true)).toBe(true);
  building.signal("SIGINT");
  expect(await building.ended()).toBe("SIGINT");
  expect(await becomes(false)).toBe(false);
});

test("on a terminal the steps that run are seen side by side, and what stays is a line for each and the image", async () => {
  const file = path.join(folder, "stages");
  const stages = ["one", "two"].map((stage) => `FROM busybox AS ${stage}\nRUN sleep 2; echo ${stage} was here\n`);
  writeFileSync(file, `${stages.join("")}FROM busybox\nCOPY --from=one /bin/sh /1\nCOPY --from=two /bin/sh /2\n`);
  const context = mkdtempSync(path.join(folder, "empty-"));
  const terminal = converseInTerminal(`${daemon().pathOf("tsubo")} build -t seen:1 -f ${file} ${context}`, {
    DOCKER_HOST: `unix://${daemon().socketPath}`,
  });
  const isSideBySide = (): boolean =>
    ["one", "two"].every((stage) => new RegExp(`^[⠋-⠿] \\[${stage}\\] RUN`, "m").test(screenOf(terminal.said)));
  for (const deadline = Date.now() + 20_000; !isSideBySide() && Date.now() < deadline;) await nextFrame(20);
  expect(isSideBySide()).toBe(true);
  expect(await terminal.ended()).toBe(0);
  const screen = screenOf(terminal.said).replaceAll(/ +\d+\.\ds$/gm, "");
  expect(screen.split("\n").slice(0, -3).sort()).toEqual([
    "✓ [2] COPY --from=one /bin/sh /1",
    "✓ [2] COPY --from=two /bin/sh /2",
    "✓ [2] FROM busybox",
    "✓ [one] FROM busybox AS one",
    "✓ [one] RUN sleep 2; echo one was here",
    "✓ [two] FROM busybox AS two",
    "✓ [two] RUN sleep 2; echo two was here",
  ]);
  expect(screen).toMatch(/\nSuccessfully built [0-9a-f]{12}\nSuccessfully tagged seen:1\n$/);
});

test("on a terminal a step that failed leaves what it wrote", async () => {
  const file = path.join(folder, "fails-seen");
  writeFileSync(file, "FROM busybox AS one\nRUN echo this is why; exit 3\nFROM one\nRUN true\n");
  const context = mkdtempSync(path.join(folder, "empty-"));
  const terminal = converseInTerminal(`${daemon().pathOf("tsubo")} build -f ${file} ${context}`, {
    DOCKER_HOST: `unix://${daemon().socketPath}`,
  });
  expect(await terminal.ended()).toBe(3);
  const lines = screenOf(terminal.said)
    .replaceAll(/ +\d+\.\ds$/gm, "")
    .split("\n");
  expect(lines).toEqual([
    "✓ [one] FROM busybox AS one",
    "✗ [one] RUN echo this is why; exit 3",
    "this is why",
    "The command '/bin/sh -c echo this is why; exit 3' returned a non-zero code: 3",
    "",
  ]);
});

/** An engine of Docker's that keeps what builds send, and builds nothing. */
async function openRecorder(): Promise<{ socketPath: string; sent: { url: string; archive: Buffer }[]; recorder: Server }> {
  const sent: { url: string; archive: Buffer }[] = [];
  const socketPath = path.join(mkdtempSync(path.join(folder, "recorder-")), "sock");
  const recorder = createServer((request, response) => {
    response.setHeader("Api-Version", "1.50").setHeader("Server", "Docker/28.2.2 (linux)");
    if (!request.url?.includes("/build")) return void response.end("OK");
    void buffer(request).then((archive) => {
      sent.push({ url: request.url ?? "", archive });
      response.setHeader("Content-Type", "application/json").end('{"stream":"ok\\n"}\n');
    });
  });
  await new Promise<void>((resolve) => recorder.listen(socketPath, resolve));
  return { socketPath, sent, recorder };
}

/** All that a folder can hold, names that need every form of header, in one second: two packings see the same. */
const ODD_TREE = `
  long=$(printf 'x%.0s' $(seq 110)); longer=$(printf 'z%.0s' $(seq 60))
  mkdir -p d/é empty $long/$longer a; printf 'FROM busybox\\n' >Dockerfile; echo hi >d/é/f; echo hi >a.txt; ln a.txt d/hard; ln -s a.txt sym
  ln -s $(printf 'y%.0s' $(seq 120)) longlink; mkfifo fifo; mknod null c 1 3; mknod disk b 259 70000; echo x >$long/$longer/f; echo x >$long/$long
  chmod 4755 a.txt; echo 1 >a/b; truncate -s 100000 sparse; touch -d '2001-01-01 00:00:00.5' sparse; touch -d '1960-01-01' old; echo c >a-b; echo >'b c'
  chmod 600 Dockerfile; chown 1234:99 a-b; head -c 300000 /dev/urandom >random; mkdir drop; echo >drop/in; echo >drop/kept
  printf 'drop\\n!drop/kept\\n' >.dockerignore`;
