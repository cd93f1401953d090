import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { tar } from "../src/testing/tar.ts";
import { useDaemon } from "./harness.ts";
import { removeImages } from "./images/pulls.ts";

/** RUN --mount, --network, --security: what a step sees, and what of it stays. */

const daemon = useDaemon();
let folder: string;

beforeAll(() => {
  folder = mkdtempSync("/tmp/tsubo-build-mounts-");
});
afterEach(() => removeImages(daemon()));
afterAll(() => rmSync(folder, { recursive: true }));

/** The text of a build and how it failed. */
async function build(dockerfile: string, files: Record<string, string> = {}, query = ""): Promise<string> {
  const entries = Object.entries({ Dockerfile: dockerfile, ...files }).map(([name, content]) => ({ name, content }));
  const { text } = await daemon().api("POST", `/build?t=built&${query}`, tar(...entries));
  const lines = text.split("\r\n").filter(Boolean);
  // Each line is an object of the daemon's own.
  const objects = lines.map((line) => JSON.parse(line) as { stream?: string; error?: string; message?: string });
  return objects.map(({ stream, error, message }) => stream ?? error ?? message ?? "").join("");
}

/** By our own command line, in place, from a folder with this Dockerfile. */
async function tsubo(dockerfile: string, ...args: string[]): Promise<string> {
  writeFileSync(path.join(folder, "Dockerfile"), dockerfile);
  const { stdout, stderr } = await daemon().run([daemon().pathOf("tsubo"), "build", "-t", "built", ...args, folder]);
  return stdout + stderr;
}

test("bind: of the context, of a stage, of an image; nothing that is written there stays", async () => {
  const text = await build(
    `FROM busybox AS made
RUN mkdir /d && echo made > /d/file
FROM busybox
RUN --mount=type=bind,target=/context,rw cat /context/given && echo changed > /context/given
RUN --mount=target=/context cat /context/given; touch /context/x || true
RUN --mount=from=made,source=/d,target=/mnt/made --mount=from=busybox,target=/box cat /mnt/made/file && test -e /box/bin/busybox
RUN --mount=from=made,target=/whole,rw touch /whole/here && ls /whole/here
RUN ls / && ls -A /mnt 2>&1 || true`,
    { given: "given\n" },
  );
  expect(text).toContain("given\n");
  expect(text).toContain("Read-only file system");
  expect(text).toContain("made\n");
  expect(text).toContain("/whole/here\n");
  const last = text.slice(text.lastIndexOf("Step "));
  expect(last).not.toMatch(/\n(?:context|box|whole)\n/);
  expect(last).toContain("ls: /mnt: No such file or directory");
  expect(text).toContain("Successfully tagged built:latest");
});

test("what is mounted counts for the cache, by its content", async () => {
  const dockerfile = "FROM busybox\nRUN --mount=target=/context,source=one cat /context\n";
  await build(dockerfile, { one: "1\n", two: "2\n" });
  expect(await build(dockerfile, { one: "1\n", two: "changed\n" })).toContain("Using cache");
  expect(await build(dockerfile, { one: "changed\n", two: "2\n" })).not.toContain("Using cache");
});

test("cache: kept between builds, by its id, and in no image", async () => {
  const dockerfile = (id: string, n: number): string =>
    `FROM busybox\nRUN --mount=type=cache,target=/var/cache/x,id=${id} echo ${n} >> /var/cache/x/log && cat /var/cache/x/log\nRUN ls -A /var/cache 2>&1 || true\n`;
  await build(dockerfile("kept", 1));
  expect(await build(dockerfile("kept", 2))).toContain("1\n2\n");
  expect(await build(dockerfile("other", 3))).not.toContain("1\n2\n");
  expect(await build(dockerfile("kept", 4))).toContain("No such file or directory");
});

test("a locked cache is one step's at a time", async () => {
  const step = (name: string): string => `FROM busybox AS ${name}
RUN --mount=type=cache,target=/c,id=lock,sharing=locked test ! -e /c/busy && touch /c/busy && sleep 0.3 && rm /c/busy && echo ${name} > /done
`;
  const text = await build(
    `${step("a")}${step("b")}${step("c")}FROM busybox\nCOPY --from=a /done /a\nCOPY --from=b /done /b\nCOPY --from=c /done /c\n`,
  );
  expect(text).toContain("Successfully tagged");
});

test("tmpfs, with a size, and nothing of it in the image", async () => {
  const text = await build("FROM busybox\nRUN --mount=type=tmpfs,target=/t,size=1m mount | grep /t && touch /t/x\nRUN ls -d /t || true\n");
  expect(text).toMatch(/tmpfs on \/t .*size=1024k/);
  expect(text).toContain("ls: /t: No such file or directory");
});

test("a secret: as a file and as a variable, in no layer, history or key", async () => {
  writeFileSync(path.join(folder, "secret"), "very secret");
  const dockerfile = `FROM busybox
RUN --mount=type=secret,id=s stat -c "%a %u %g" /run/secrets/s && cat /run/secrets/s | md5sum
RUN --mount=type=secret,id=s,env=TOKEN,target=/etc/token,mode=0444,uid=7 echo "$TOKEN" | md5sum; stat -c "%a %u" /etc/token
RUN --mount=type=secret,id=s,required test -e /run/secrets/s; ls /run/secrets /etc/token || true
`;
  const text = await tsubo(dockerfile, "--secret", `id=s,src=${path.join(folder, "secret")}`);
  expect(text).toContain("400 0 0\n");
  expect(text).toContain("444 7\n");
  expect(text).not.toContain("very secret");
  const history = await daemon().dockerOk("history", "--no-trunc", "built");
  expect(history).not.toContain("very secret");
  writeFileSync(path.join(folder, "secret"), "another");
  const again = await tsubo(dockerfile, "--secret", `id=s,src=${path.join(folder, "secret")}`);
  expect(again.match(/Using cache/g)).toHaveLength(3);
  expect(await tsubo("FROM busybox\nRUN --mount=type=secret,id=none,required true\n")).toContain("secret none: not found");
});

test("the client's ssh agent, for as long as the step runs", async () => {
  const socketPath = path.join(folder, "agent");
  const agent = createServer().listen(socketPath);
  try {
    const text = await tsubo(
      "FROM busybox\nRUN --mount=type=ssh,mode=0666,uid=5 stat -c '%a %u' $SSH_AUTH_SOCK\nRUN ls /run 2>&1 || true\n",
      "--ssh",
      `default=${socketPath}`,
    );
    expect(text).toContain("666 5\n");
  } finally {
    agent.close();
  }
  expect(await tsubo("FROM busybox\nRUN --mount=type=ssh,required true\n")).toContain('no SSH key "default" forwarded from the client');
});

test("networks and privileges that were not allowed are refused", async () => {
  expect(await build("FROM busybox\nRUN --network=none ip -o link | wc -l\n")).toContain("\n1\n");
  expect(await build("FROM busybox\nRUN --network=host true\n")).toContain("network.host is not allowed");
  expect(await build("FROM busybox\nRUN --network=host true\n", {}, "allow=network.host")).toContain("Successfully tagged");
  expect(await build("FROM busybox\nRUN --security=insecure true\n")).toContain("security.insecure is not allowed");
  const dockerfile = "FROM busybox\nRUN --security=insecure mount -t tmpfs x /tmp && echo mounted\n";
  expect(await build(dockerfile, {}, "allow=security.insecure")).toContain("mounted\n");
});

test.each([
  ["a source that is not there", "RUN --mount=target=/x,source=nowhere true", /file not found in build context.*nowhere/],
  ["a source outside", "RUN --mount=target=/x,source=../.. true", "outside the build context"],
  ["no target", "RUN --mount=type=tmpfs true", "target is required"],
  ["a type that there is not", "RUN --mount=type=bogus,target=/x true", 'unsupported mount type "bogus"'],
  ["a stage that there is not", "RUN --mount=from=127.0.0.1:1/nowhere,target=/x true", /connect|refused/],
])("%s", async (_, instruction, words) => {
  expect(await build(`FROM busybox\n${instruction}\n`)).toMatch(words);
});
