import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openPlace, type Place } from "./keeper/place.ts";
import { readAll, readFrames, readUntil } from "./keeper/streams.ts";

const ALL = { stdin: true, stdout: true, stderr: true };
const NOT_FOUND =
  'failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: unknown';

let place: Place;
beforeAll(async () => {
  place = await openPlace();
});
afterAll(async () => await place.close());

describe.each(["crun", "runc"] as const)("with %s", (runtime) => {
  test("output reaches the log and the exit code the daemon", async () => {
    const id = `${runtime}-out`;
    const exit = await place.run(id, ["sh", "-c", 'echo out; echo "<&>" >&2; exit 7'], { runtime });
    expect(exit).toMatchObject({ exitCode: 7, oomKilled: false });
    const log = place.logOf(id).map(({ log, stream }) => `${stream}: ${log}`);
    expect(log.toSorted()).toEqual(["stderr: <&>\n", "stdout: out\n"]);
  });

  test("death by a signal is 128 and its number", async () => {
    const id = `${runtime}-signal`;
    await place.keeper.startContainer(place.container(id, ["sleep", "60"], { runtime }));
    expect(await place.keeper.signal({ containerId: id }, 9)).toBe(true);
    expect(await place.exitOf({ containerId: id })).toMatchObject({ exitCode: 137 });
    expect(await place.keeper.signal({ containerId: id }, 9)).toBe(false);
    await place.keeper.forgetContainer(id);
    await place.keeper.forgetContainer(id);
  });

  test("a client that came before the start gets everything and gives stdin", async () => {
    const id = `${runtime}-attach`;
    const client = await place.keeper.attach({ containerId: id }, ALL);
    const received = readFrames(client);
    await place.keeper.startContainer(
      place.container(id, ["sh", "-c", "cat; echo end >&2"], { runtime, openStdin: true, stdinOnce: true }),
    );
    client.write("one\n");
    client.end("two\n");
    expect(await received).toEqual({ stdout: "one\ntwo\n", stderr: "end\n", systemError: "" });
    await place.exitOf({ containerId: id });
    await place.keeper.forgetContainer(id);
  });

  test("a start that fails says so in runc's words, leaves nothing and lets its clients go", async () => {
    const id = `${runtime}-missing`;
    const client = await place.keeper.attach({ containerId: id }, ALL);
    const received = readFrames(client);
    await expect(place.keeper.startContainer(place.container(id, ["nosuch"], { runtime }))).rejects.toThrow(NOT_FOUND);
    expect(await received).toEqual({ stdout: "", stderr: "", systemError: "" });
    expect((await place.keeper.list()).map((kept) => kept.id)).not.toContain(id);
  });

  test("exec: output, exit code, stdin to its end, and the error text to the client", async () => {
    const id = `${runtime}-exec`;
    const spec = place.container(id, ["sleep", "60"], { runtime });
    await place.keeper.startContainer(spec);
    const process = (args: string[]) => ({
      terminal: false,
      user: { uid: 0, gid: 0 },
      args,
      env: ["PATH=/bin"],
      cwd: "/",
    });
    const exec = { containerId: id, runtime: spec.runtime, tty: false, openStdin: true, memo: "" };

    const first = { containerId: id, execId: "first" };
    const client = await place.keeper.attach(first, ALL);
    const received = readFrames(client);
    await place.keeper.startExec({ ...exec, execId: "first", process: process(["sh", "-c", "cat; exit 3"]) });
    client.end("typed\n");
    expect(await received).toMatchObject({ stdout: "typed\n" });
    expect(await place.exitOf(first)).toMatchObject({ exitCode: 3 });

    const second = { containerId: id, execId: "second" };
    const failing = readFrames(await place.keeper.attach(second, ALL));
    const message =
      'OCI runtime exec failed: exec failed: unable to start container process: exec: "nosuch": executable file not found in $PATH: unknown';
    await expect(place.keeper.startExec({ ...exec, execId: "second", process: process(["nosuch"]) })).rejects.toThrow(message);
    expect(await failing).toMatchObject({ stdout: `${message}\r\n` });

    await place.keeper.signal({ containerId: id }, 9);
    await place.exitOf({ containerId: id });
    await place.keeper.forgetContainer(id);
  });

  test("a terminal echoes, knows its size and ends", async () => {
    const id = `${runtime}-tty`;
    const client = await place.keeper.attach({ containerId: id }, ALL);
    const spec = place.container(id, ["sh"], { runtime, tty: true, openStdin: true });
    await place.keeper.startContainer({ ...spec, consoleSize: { rows: 11, columns: 22 } });
    client.write("stty size\n");
    expect(await readUntil(client, "11 22")).toContain("stty size\r\n");
    await place.keeper.resize({ containerId: id }, { rows: 33, columns: 44 });
    client.write("stty size; exit 5\n");
    expect((await readAll(client)).toString()).toContain("33 44");
    expect(await place.exitOf({ containerId: id })).toMatchObject({ exitCode: 5 });
    await place.keeper.forgetContainer(id);
    expect(place.logOf(id).map(({ log }) => log)).toContain("11 22\r\n");
  });
});
