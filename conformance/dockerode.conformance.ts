import { PassThrough } from "node:stream";
import { finished } from "node:stream/promises";

import Dockerode from "dockerode";
import { expect, test } from "vitest";

import { useDaemon } from "../e2e/harness.ts";
import { makeImage } from "../e2e/images/image.ts";
import { openScriptedRegistry } from "../e2e/images/registry.ts";
import { tar } from "../src/testing/tar.ts";

/** dockerode, the SDK of the JavaScript world, as it is: what it expects of a Docker it finds here. */

const daemon = useDaemon();
const connect = (): Dockerode => new Dockerode({ socketPath: daemon().socketPath });

/** Collects what is written. */
function sink(): { stream: PassThrough; text: () => string } {
  const stream = new PassThrough();
  let text = "";
  stream.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  return { stream, text: () => text };
}

test("pull follows the progress to its end, and an error in it is an error", async () => {
  const docker = connect();
  const pull = async (reference: string): Promise<unknown[]> => {
    const stream: NodeJS.ReadableStream = await docker.pull(reference);
    return new Promise((resolve, reject) => {
      docker.modem.followProgress(stream, (error: Error | null, lines: unknown[]) => (error === null ? resolve(lines) : reject(error)));
    });
  };
  const registry = await openScriptedRegistry();
  try {
    const reference = registry.put("app", makeImage([tar({ name: "hello", content: "from the registry" })]));
    const lines = await pull(reference);
    expect(lines).toContainEqual({ status: `Status: Downloaded newer image for ${reference}` });
    expect(lines).toContainEqual(
      expect.objectContaining({ status: "Downloading", progressDetail: expect.objectContaining({ total: expect.any(Number) }) }),
    );
    expect((await docker.getImage(reference).inspect()).RepoTags).toEqual([reference]);
    await docker.getImage(reference).remove();
    await expect(pull(reference.replace("app", "nosuch"))).rejects.toThrow("not found");
  } finally {
    await registry.close();
  }
});

test("create, attach, start, wait: streams apart, exit code right", async () => {
  const container = await connect().createContainer({
    Image: "busybox",
    Cmd: ["sh", "-c", "cat; echo err >&2; exit 5"],
    OpenStdin: true,
    StdinOnce: true,
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
  });
  const stream = await container.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
  const [stdout, stderr] = [sink(), sink()];
  container.modem.demuxStream(stream, stdout.stream, stderr.stream);
  const ended = container.wait({ condition: "next-exit" });
  await container.start();
  stream.end("from stdin\n");
  expect(await ended).toMatchObject({ StatusCode: 5 });
  await finished(stream);
  expect([stdout.text(), stderr.text()]).toEqual(["from stdin\n", "err\n"]);
  expect((await container.inspect()).State).toMatchObject({ Status: "exited", ExitCode: 5, Running: false });
  await container.remove();
  await expect(container.inspect()).rejects.toMatchObject({ statusCode: 404, reason: "no such container" });
});

test("run does all of it in one call", async () => {
  const output = sink();
  const [result, container] = (await connect().run("busybox", ["echo", "hello"], output.stream, { HostConfig: { AutoRemove: true } })) as [
    { StatusCode: number },
    Dockerode.Container,
  ];
  expect([result.StatusCode, output.text()]).toEqual([0, "hello\r\n"]);
  expect(container.id).toMatch(/^[0-9a-f]{64}$/);
});

test("exec with stdin, its exit code, and a detached one", async () => {
  const container = await connect().createContainer({ Image: "busybox", Cmd: ["sleep", "1000"] });
  await container.start();
  const exec = await container.exec({ Cmd: ["sh", "-c", "cat; exit 9"], AttachStdin: true, AttachStdout: true, AttachStderr: true });
  const stream = await exec.start({ hijack: true, stdin: true });
  const stdout = sink();
  container.modem.demuxStream(stream, stdout.stream, new PassThrough());
  stream.end("in");
  await finished(stream);
  expect(stdout.text()).toBe("in");
  expect(await exec.inspect()).toMatchObject({ ExitCode: 9, Running: false });

  const detached = await container.exec({ Cmd: ["touch", "/made"] });
  await detached.start({ Detach: true });
  await expect.poll(async () => (await detached.inspect()).ExitCode).toBe(0);
});

test("an exec on a terminal is raw and can be resized", async () => {
  const container = await connect().createContainer({ Image: "busybox", Cmd: ["sleep", "1000"] });
  await container.start();
  const exec = await container.exec({ Cmd: ["sh", "-c", "read x; stty size"], AttachStdin: true, AttachStdout: true, Tty: true });
  const stream = await exec.start({ hijack: true, stdin: true, Tty: true });
  const output = sink();
  stream.pipe(output.stream);
  await exec.resize({ h: 31, w: 77 });
  stream.write("go\n");
  await finished(output.stream, { writable: false });
  expect(output.text()).toContain("31 77\r\n");
});

test("logs at once and followed", async () => {
  const container = await connect().createContainer({
    Image: "busybox",
    Cmd: ["sh", "-c", "echo one; echo two >&2; sleep 0.3; echo three"],
  });
  await container.start();
  const followed = await container.logs({ follow: true, stdout: true, stderr: true });
  const [stdout, stderr] = [sink(), sink()];
  container.modem.demuxStream(followed, stdout.stream, stderr.stream);
  await finished(followed, { writable: false });
  expect([stdout.text(), stderr.text()]).toEqual(["one\nthree\n", "two\n"]);
  const whole = await container.logs({ follow: false, stdout: true, stderr: false, tail: 1, timestamps: true });
  expect(whole.subarray(8).toString()).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z three\n$/);
});

test("events come as they happen, filtered", async () => {
  const docker = connect();
  const stream = await docker.getEvents({ filters: { type: ["container"], event: ["create", "die"] } });
  const seen = sink();
  stream.pipe(seen.stream);
  const container = await docker.createContainer({ Image: "busybox", Cmd: ["true"], name: "watched" });
  await container.start();
  await expect.poll(() => seen.text().match(/"Action":"\w+"/g)).toEqual(['"Action":"create"', '"Action":"die"']);
  expect(seen.text()).toContain('"name":"watched"');
  // The stream has no end of its own.
  (stream as unknown as { destroy: () => void }).destroy();
});

test("lists, filters, stop, restart, pause, rename, kill", async () => {
  const docker = connect();
  const container = await docker.createContainer({ Image: "busybox", Cmd: ["sleep", "1000"], name: "c1", Labels: { a: "b" } });
  await container.start();
  await expect(container.start()).rejects.toMatchObject({ statusCode: 304 });
  expect(await docker.listContainers({ filters: { label: ["a=b"] } })).toMatchObject([
    { Names: ["/c1"], State: "running", Image: "busybox" },
  ]);
  await container.pause();
  expect((await container.inspect()).State.Paused).toBe(true);
  await container.unpause();
  await container.rename({ name: "c2" });
  await container.restart({ t: 0 });
  await container.kill({ signal: "SIGKILL" });
  await container.wait();
  expect(await docker.listContainers({ filters: { label: ["a=b"] } })).toEqual([]);
  expect(await docker.listContainers({ all: true, filters: { exited: ["137"] } })).toMatchObject([{ Names: ["/c2"], State: "exited" }]);
  expect(await docker.listImages({ filters: { reference: ["busybox"] } })).toMatchObject([{ RepoTags: ["busybox:latest"] }]);
  expect(await docker.listNetworks()).toEqual(expect.arrayContaining([expect.objectContaining({ Name: "bridge", Driver: "bridge" })]));
  expect((await docker.info()).OSType).toBe("linux");
  expect((await docker.version()).ApiVersion).toBe("1.50");
  expect(String(await docker.ping())).toBe("OK");
});

test("archives go in and out, and what is there is told", async () => {
  const container = await connect().createContainer({ Image: "busybox", Cmd: ["true"] });
  await container.putArchive(tar({ name: "hello", content: "from an archive", mode: 0o640 }), { path: "/tmp" });
  const { stream, text } = sink();
  (await container.getArchive({ path: "/tmp/hello" })).pipe(stream);
  await finished(stream);
  expect(text()).toContain("from an archive");
  // dockerode gives the answer's body alone.
  await expect(container.infoArchive({ path: "/tmp/hello" })).resolves.toBeDefined();
  await expect(container.getArchive({ path: "/nope" })).rejects.toMatchObject({ statusCode: 404 });
});
