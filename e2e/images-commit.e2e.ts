import { afterEach, describe, expect, test } from "vitest";

import { useDaemon } from "./harness.ts";
import { removeImages } from "./images/pulls.ts";

/** Images made of containers, and what a container has changed: commit, diff, export. */

const daemon = useDaemon();
const docker = (...args: string[]): Promise<string> => daemon().dockerOk(...args);
const inspect = (name: string, format: string): Promise<string> => docker("image", "inspect", "-f", format, name);

afterEach(() => removeImages(daemon()));

/** A container that has ended, after it made, changed and removed something. */
async function change(name = "box"): Promise<void> {
  const script = "echo new > /etc/new; rm /etc/group; chmod 600 /etc/passwd; mkdir -p /made/deep; ln -s /etc/new /made/link";
  await docker("run", "--name", name, "-e", "A=1", "--label", "l=m", "-w", "/tmp", "busybox", "sh", "-c", script);
}

describe("commit", () => {
  test("makes an image with the changes asked for, which runs", async () => {
    await change();
    const id = await docker("commit", "-a", "me", "-m", "why", "-c", "ENV B=<2>", "-c", 'CMD ["cat","/etc/new"]', "box", "made:1");
    expect(
      await inspect("made:1", "{{.Id}} {{.Author}} {{.Comment}} {{.Config.Env}} {{.Config.Cmd}} {{.Config.Labels}} {{.Config.WorkingDir}}"),
    ).toBe(`${id} me why [A=1 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin B=<2>] [cat /etc/new] map[l:m] /tmp`);
    expect(await docker("run", "--rm", "made:1")).toBe("new");
    expect(
      await docker("run", "--rm", "made:1", "sh", "-c", "test -e /etc/group; echo $?; stat -c %a /etc/passwd; readlink /made/link"),
    ).toBe("1\n600\n/etc/new");
    const base = await inspect("busybox", "{{.Id}}");
    expect(await inspect("made:1", "{{.Parent}}")).toBe(base);
    const history = await docker("history", "--no-trunc", "--format", "{{.ID}}|{{.Comment}}", "made:1");
    expect(history.split("\n")).toEqual([`${id}|why`, `${base}|embedded: made of this machine's busybox`]);
  });

  test("takes a config in place of the container's own, and no name", async () => {
    await change();
    const { status, ...answer } = await daemon().api("POST", "/commit?container=box", { Cmd: ["x"], Labels: { new: "1" } });
    expect(status).toBe(201);
    // The shape is the Engine API's.
    const { Id } = answer.json() as { Id: string };
    expect(await inspect(Id, "{{.RepoTags}} {{.Config.Cmd}} {{.Config.Labels}}")).toBe("[] [x] map[l:m new:1]");
  });

  test("of a container that has changed nothing adds no layer", async () => {
    await docker("create", "--name", "box", "busybox", "true");
    await docker("commit", "box", "same");
    expect(await inspect("same", "{{.RootFS.Layers}}")).toBe(await inspect("busybox", "{{.RootFS.Layers}}"));
    expect(await docker("history", "--format", "{{.Size}}", "same")).toMatch(/^0B\n/);
  });

  test("twice gives the same layer", async () => {
    await change();
    await docker("commit", "box", "one");
    await docker("commit", "box", "two");
    expect(await inspect("one", "{{.RootFS.Layers}}")).toBe(await inspect("two", "{{.RootFS.Layers}}"));
  });

  test.each([
    ["stands still while it is copied", [], ["pause", "unpause", "commit"]],
    ["goes on if that is wanted", ["--pause=false"], ["commit"]],
  ])("a running container %s", async (_what, flags, actions) => {
    await docker("run", "-d", "--name", "box", "busybox", "sh", "-c", "echo x > /x; exec sleep 1000");
    await expect.poll(async () => (await daemon().docker("exec", "box", "cat", "/x")).stdout.trim(), { timeout: 20_000 }).toBe("x");
    const since = String(Date.now() / 1000);
    await docker("commit", ...flags, "box", "running");
    const until = String(Math.ceil(Date.now() / 1000));
    const events = await docker("events", "--since", since, "--until", until, "--filter", "container=box", "--format", "{{.Action}}");
    expect(events.split("\n")).toEqual(actions);
    expect(await docker("inspect", "-f", "{{.State.Status}}", "box")).toBe("running");
    expect(await docker("run", "--rm", "running", "cat", "/x")).toBe("x");
  });

  test.each([
    [["nosuch"], "No such container: nosuch"],
    [["-c", "RUN x", "box"], "run is not a valid change command"],
    [["box", "UPPER"], "repository name (library/UPPER) must be lowercase"],
    [["box", "a:b:c"], "invalid reference format"],
  ])("%j is refused", async (args, message) => {
    await docker("create", "--name", "box", "busybox", "true");
    const { code, stderr } = await daemon().docker("commit", ...args);
    expect([code, stderr.toLowerCase()]).toEqual([1, expect.stringContaining(message.toLowerCase())]);
  });

  test.each(["containers.commit.copied", "containers.commit.finished", "layers.copy.copied"])(
    "%s: a failure or a death there leaves nothing",
    async (name) => {
      await change();
      for (const action of ["error", "crash"]) {
        await daemon().kill();
        await daemon().start({ failpoints: `${name}=${action}@1` });
        await daemon()
          .api("POST", "/commit?container=box&repo=broken")
          .catch(() => undefined);
        await daemon().kill();
        await daemon().start();
        expect((await daemon().docker("image", "inspect", "broken")).code).toBe(1);
      }
      await docker("commit", "box", "whole");
      expect(await docker("run", "--rm", "whole", "cat", "/etc/new")).toBe("new");
    },
  );
});

test("diff tells what was added, changed and deleted", async () => {
  await change();
  expect((await docker("diff", "box")).split("\n")).toEqual([
    "C /etc",
    "D /etc/group",
    "A /etc/new",
    "C /etc/passwd",
    "A /made",
    "A /made/deep",
    "A /made/link",
  ]);
  await docker("create", "--name", "fresh", "busybox", "true");
  expect((await daemon().api("GET", "/containers/fresh/changes")).text.trim()).toBe("null");
  expect((await daemon().api("GET", "/containers/nosuch/changes")).status).toBe(404);
});

test("export gives the whole tree, of a running container too", async () => {
  await change();
  const list = async (name: string): Promise<string[]> => {
    const { stdout, code } = await daemon().run(["sh", "-c", `${daemon().pathOf("docker")} export ${name} | tar -t`]);
    expect(code).toBe(0);
    return stdout.split("\n");
  };
  const names = await list("box");
  expect(names).toEqual(expect.arrayContaining(["bin/busybox", "etc/new", "etc/passwd", "made/deep/", "made/link"]));
  expect(names).not.toContain("etc/group");
  await docker("run", "-d", "--name", "running", "busybox", "sleep", "1000");
  expect(await list("running")).toContain("etc/group");
  expect((await daemon().api("GET", "/containers/nosuch/export")).status).toBe(404);
});
