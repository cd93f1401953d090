import { mkdirSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";

import { openTestDaemon, type TestDaemon } from "../src/testing/daemon.ts";
import { usePlace } from "./images/place.ts";

/** A daemon whose layers are no overlays: nothing above the driver may notice. */
const place = usePlace();
let daemon: TestDaemon;

beforeAll(async () => {
  daemon = await openTestDaemon();
  await daemon.start({ flags: ["--storage-driver", "vfs"] });
});
afterAll(async () => {
  await daemon.close();
});

test("info and inspect name it", async () => {
  expect(await daemon.dockerOk("info", "-f", "{{.Driver}}")).toBe("vfs");
  expect(await daemon.dockerOk("image", "inspect", "-f", "{{.GraphDriver.Name}}", "busybox")).toBe("vfs");
});

test("containers write, are diffed, committed, exported, and outlive the daemon", async () => {
  await daemon.dockerOk(
    "run",
    "-d",
    "--name",
    "one",
    "busybox",
    "sh",
    "-c",
    "echo new > /new; rm /etc/group; trap 'exit 5' TERM; while :; do sleep 0.1; done",
  );
  await daemon.stop();
  await daemon.start();
  expect(await daemon.dockerOk("info", "-f", "{{.Driver}}")).toBe("vfs");
  expect(await daemon.dockerOk("exec", "one", "cat", "/new")).toBe("new");
  expect((await daemon.dockerOk("diff", "one")).split("\n").toSorted()).toEqual(["A /new", "C /etc", "D /etc/group"]);
  await daemon.dockerOk("commit", "one", "committed");
  expect(await daemon.dockerOk("run", "--rm", "committed", "sh", "-c", "cat /new; ls /etc/group || echo gone")).toBe("new\ngone");
  await daemon.dockerOk("export", "-o", place.file("export.tar"), "one");
  const listed = await place.tool(["tar", "-tf", place.file("export.tar")]);
  expect(listed.split("\n")).toContain("new");
  await daemon.dockerOk("stop", "one");
  expect(await daemon.dockerOk("inspect", "-f", "{{.State.ExitCode}}", "one")).toBe("5");
  await daemon.dockerOk("rm", "one");
  await daemon.expectClean();
});

test("images are built, saved and loaded with the ids that they have with overlays", async () => {
  mkdirSync(place.file("context"));
  writeFileSync(place.file("context/file"), "file");
  writeFileSync(
    place.file("context/Dockerfile"),
    'FROM busybox\nRUN rm /etc/group && echo x > /x\nCOPY file /d/\nCMD ["cat", "/d/file", "/x"]\n',
  );
  await daemon.dockerOk("build", "-t", "built", place.file("context"));
  expect(await daemon.dockerOk("run", "--rm", "built")).toBe("filex");
  const before = await daemon.dockerOk("image", "inspect", "-f", "{{.Id}} {{.RootFS.Layers}}", "built");
  await daemon.dockerOk("save", "-o", place.file("built.tar"), "built");
  await daemon.dockerOk("rmi", "built");
  await daemon.dockerOk("load", "-i", place.file("built.tar"));
  expect(await daemon.dockerOk("image", "inspect", "-f", "{{.Id}} {{.RootFS.Layers}}", "built")).toBe(before);
  expect(await daemon.dockerOk("run", "--rm", "built")).toBe("filex");
  await daemon.expectClean();
});

test("a data root keeps its driver", async () => {
  await daemon.stop();
  await expect(daemon.start({ flags: ["-s", "overlay2"] })).rejects.toThrow(
    /its layers were made by vfs: use --storage-driver vfs, or another --data-root/,
  );
  await daemon.start({ flags: ["-s", "vfs"] });
});
