import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { type AddressInfo, createServer } from "node:net";
import path from "node:path";

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

import { run } from "../src/testing/run.ts";
import { tar } from "../src/testing/tar.ts";
import { useDaemon } from "./harness.ts";
import { removeImages } from "./images/pulls.ts";

/** Contexts and files that come from a git repository or a URL; both served on the loopback. */

const daemon = useDaemon();
let folder: string;
let git: { url: string; commit: string; server: ChildProcess };
let web: { url: string; server: http.Server; files: Map<string, { body: string | Buffer; type?: string }> };

beforeAll(async () => {
  folder = mkdtempSync("/tmp/tsubo-build-remote-");
  git = await serveRepository();
  web = await serveFiles();
});
afterEach(() => removeImages(daemon()));
afterAll(() => {
  git.server.kill();
  web.server.close();
  rmSync(folder, { recursive: true });
});

async function serveRepository(): Promise<typeof git> {
  const repository = path.join(folder, "git/repository");
  mkdirSync(path.join(repository, "inner"), { recursive: true });
  writeFileSync(path.join(repository, "Dockerfile"), "FROM busybox\nCOPY . /all\nRUN ls -a /all\n");
  writeFileSync(path.join(repository, "inner/Dockerfile"), "FROM busybox\nCOPY file /file\nRUN cat /file\n");
  writeFileSync(path.join(repository, "inner/file"), "from the repository\n");
  writeFileSync(path.join(repository, "program"), "#!/bin/sh\n", { mode: 0o755 });
  const inside = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await run(["git", "-C", repository, "-c", "user.name=a", "-c", "user.email=a@b", ...args]);
    if (code !== 0) throw new Error(stderr);
    return stdout.trim();
  };
  await inside("init", "--quiet", "--initial-branch=trunk");
  await inside("add", ".");
  await inside("commit", "--quiet", "--message=one");
  await inside("tag", "v1");
  writeFileSync(path.join(repository, "later"), "");
  await inside("add", ".");
  await inside("commit", "--quiet", "--message=two");
  const port = await freePort();
  const base = path.join(folder, "git");
  const server = spawn("git", ["daemon", `--base-path=${base}`, "--export-all", "--listen=127.0.0.1", `--port=${port}`], {
    stdio: "ignore",
  });
  await listens(port);
  return { url: `git://127.0.0.1:${port}/repository/.git`, commit: await inside("rev-parse", "v1"), server };
}

async function serveFiles(): Promise<typeof web> {
  const files = new Map<string, { body: string | Buffer; type?: string }>();
  const server = http.createServer((request, response) => {
    const file = files.get(request.url ?? "");
    response.writeHead(file === undefined ? 404 : 200, {
      "content-type": file?.type ?? "application/octet-stream",
      "last-modified": "Wed, 21 Oct 2015 07:28:00 GMT",
    });
    response.end(file?.body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  // A TCP server's address is an object.
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server, files };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo; // as above
      server.close(() => resolve(port));
    });
  });
}

async function listens(port: number): Promise<void> {
  for (;;) {
    const { code } = await run(["bash", "-c", `exec 3<>/dev/tcp/127.0.0.1/${port}`]);
    if (code === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The text of a build whose context the daemon fetches, and how it failed. */
async function buildFrom(remote: string): Promise<string> {
  const { text } = await daemon().api("POST", `/build?t=remote&remote=${encodeURIComponent(remote)}`);
  return textOf(text);
}

async function buildHere(dockerfile: string): Promise<string> {
  const { text } = await daemon().api("POST", "/build?t=here", tar({ name: "Dockerfile", content: dockerfile }));
  return textOf(text);
}

/** What the lines of a build's answer say. */
function textOf(answer: string): string {
  const lines = answer.split("\r\n").filter(Boolean);
  // Each line is an object of the daemon's own.
  const objects = lines.map((line) => JSON.parse(line) as { stream?: string; error?: string; message?: string });
  return objects.map(({ stream, error, message }) => stream ?? error ?? message ?? "").join("");
}

test("a repository is a context: its default branch, without .git", async () => {
  const text = await buildFrom(git.url);
  expect(text).toContain(".\n..\nDockerfile\ninner\nlater\nprogram\n");
  expect(text).toContain("Successfully tagged remote:latest");
});

test("a branch, tag or commit, and a folder of it", async () => {
  expect(await buildFrom(`${git.url}#v1`)).toContain(".\n..\nDockerfile\ninner\nprogram\n");
  expect(await buildFrom(`${git.url}#trunk:inner`)).toContain("from the repository\n");
  // The same files as before.
  expect(await buildFrom(`${git.url}#${git.commit}:inner`)).toMatch(/Step 3\/3 : RUN cat \/file\n ---> Using cache/);
});

test.each([
  ["a reference that is not there", () => `${git.url}#nowhere`, /couldn't find remote ref nowhere/],
  ["a folder that is not there", () => `${git.url}#v1:nowhere`, /nowhere|Cannot locate/],
  ["a folder outside", () => `${git.url}#v1:../..`, "leads out of the repository"],
  ["an option in the place of a reference", () => `${git.url}#--upload-pack=x`, "invalid git reference"],
  ["a repository of the host", () => "file:///repository.git", "neither a git repository nor an http(s) URL"],
])("%s is refused", async (_, remote, words) => {
  expect(await buildFrom(remote())).toMatch(words);
});

test("an archive at a URL is a context, and so is a Dockerfile alone", async () => {
  const archive = await run(["bash", "-c", `tar -C ${folder}/git/repository/inner -czf - . | base64`]);
  web.files.set("/context.tgz", { body: Buffer.from(archive.stdout, "base64") });
  expect(await buildFrom(`${web.url}/context.tgz`)).toContain("from the repository\n");
  web.files.set("/Dockerfile", { body: "FROM busybox\nRUN echo alone\n", type: "text/plain; charset=utf-8" });
  expect(await buildFrom(`${web.url}/Dockerfile`)).toContain("alone\n");
  expect(await buildFrom(`${web.url}/none`)).toContain("404");
});

test("ADD of a URL: its name, its time, mode 600, and what it should hold", async () => {
  web.files.set("/some/file", { body: "some content\n" });
  const sum = createHash("sha256").update("some content\n").digest("hex");
  const text = await buildHere(`FROM busybox
ADD ${web.url}/some/file /into/
ADD --checksum=sha256:${sum} --chmod=644 ${web.url}/some/file /other
RUN cat /into/file /other && stat -c "%a %Y" /into/file /other
`);
  expect(text).toContain("some content\nsome content\n600 1445412480\n644 1445412480\n");
  const wrong = await buildHere(`FROM busybox\nADD --checksum=sha256:${"0".repeat(64)} ${web.url}/some/file /x\n`);
  expect(wrong).toContain(`ADD failed: digest mismatch sha256:${sum}`);
});

test("what a URL holds is what counts for the cache", async () => {
  const dockerfile = `FROM busybox\nADD ${web.url}/counts /x\n`;
  web.files.set("/counts", { body: "one" });
  await buildHere(dockerfile);
  expect(await buildHere(dockerfile)).toContain("Using cache");
  web.files.set("/counts", { body: "two" });
  expect(await buildHere(dockerfile)).not.toContain("Using cache");
});

test("ADD of a repository, with the modes that git gives, and .git when it is wanted", async () => {
  const text = await buildHere(`FROM busybox
ADD ${git.url}#v1 /plain
ADD --keep-git-dir=true --checksum=${git.commit} ${git.url}#v1 /whole
RUN stat -c "%a %n" /plain/program /plain/Dockerfile && test ! -e /plain/.git && cat /whole/.git/HEAD
`);
  expect(text).toContain(`755 /plain/program\n644 /plain/Dockerfile\n${git.commit}\n`);
  const wrong = await buildHere(`FROM busybox\nADD --checksum=${"0".repeat(40)} ${git.url}#v1 /x\n`);
  expect(wrong).toContain(`expected checksum to match ${"0".repeat(40)}, got ${git.commit}`);
});
