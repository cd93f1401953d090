import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";

import { hasDockerCli } from "../src/testing/daemon.ts";
import { useDaemon } from "./harness.ts";
import { removeImages } from "./images/pulls.ts";

/** `docker build --squash`: one layer in place of those above the base. */

const daemon = useDaemon();
let folder: string;

beforeAll(() => {
  folder = mkdtempSync("/tmp/tsubo-build-squash-");
});
beforeEach(({ skip }) => skip(!hasDockerCli(), "there is no docker on PATH"));
afterEach(() => removeImages(daemon()));
afterAll(() => rmSync(folder, { recursive: true }));

interface Inspected {
  Id: string;
  Parent: string;
  Config: { Cmd: string[] };
  RootFS: { Layers: string[] };
}

async function inspect(name: string): Promise<Inspected> {
  // The shape is the Engine API's.
  return (await daemon().api("GET", `/images/${name}/json`)).json() as Inspected;
}

interface HistoryItem {
  Comment: string;
  CreatedBy: string;
  Size: number;
}

async function history(name: string): Promise<HistoryItem[]> {
  // The shape is the Engine API's.
  return (await daemon().api("GET", `/images/${name}/history`)).json() as HistoryItem[];
}

async function build(dockerfile: string, ...args: string[]): Promise<string> {
  const context = path.join(folder, "context");
  mkdirSync(context, { recursive: true });
  writeFileSync(path.join(context, "Dockerfile"), dockerfile);
  // The client looks for the engine's experimental mode before it knows the flag.
  const query = new URLSearchParams({ squash: "1", t: args[0] ?? "squashed" });
  const { stdout } = await daemon().run(["sh", "-c", `tar -C ${context} -cf - . | base64 -w0`]);
  const { text } = await daemon().api("POST", `/build?${query.toString()}`, Buffer.from(stdout, "base64"));
  if (text.includes("errorDetail")) throw new Error(text);
  return text;
}

/** Every file but what the engine puts into a container: type, mode, owner, size, time, link target, sum. */
function tree(image: string): Promise<string> {
  const list = `cd / && find . -xdev ! -path './dev/*' ! -path './proc/*' ! -path './sys/*' ! -path ./.dockerenv ! -path './etc/*' ! -path ./dev ! -path ./etc ! -path . -exec stat -c '%n %F %a %u %g %s %Y %N' {} + | grep -v directory | sort; find /w /x -type f -exec sha256sum {} + | sort; find /w /x -type d -exec stat -c '%n %a %u' {} + | sort`;
  return daemon().dockerOk("run", "--rm", "--network", "none", image, "sh", "-c", list);
}

const STEPS = `FROM busybox
RUN mkdir -p /x/lower/deep /x/replaced && echo 1 > /x/lower/deep/f && echo 2 > /x/replaced/a && echo 3 > /x/gone && echo same > /x/same
RUN ln /x/same /x/link && ln -s same /x/symlink && mkfifo /x/pipe && chmod 4755 /x/same
RUN rm /x/gone && rm -r /x/replaced && mkdir /x/replaced && echo new > /x/replaced/b && rm /bin/busybox-gone 2> /dev/null; rm -rf /x/lower
WORKDIR /w
RUN echo a > a && touch -d @1000000000 a && rm /bin/vi && chown 5:6 /w && echo x > "/x-y"
CMD ["sh", "-c", "echo hi"]
`;

test("the tree is the same, in one layer, and the history tells of it", async () => {
  const text = await build(STEPS);
  const ids = [...text.matchAll(/"aux":\{"ID":"(sha256:[a-f0-9]+)"/g)].map(([, id]) => id ?? "");
  expect(ids).toHaveLength(2);
  const [whole = "", squashed = ""] = ids;
  const [base, before, after] = [await inspect("busybox"), await inspect(whole), await inspect("squashed")];
  expect(after.Id).toBe(squashed);
  expect(after.RootFS.Layers).toEqual([...base.RootFS.Layers, expect.stringMatching(/^sha256:/)]);
  expect(before.RootFS.Layers.length).toBeGreaterThan(base.RootFS.Layers.length + 3);
  expect(after.Config).toEqual(before.Config);
  expect(after.Parent).toBe("");
  expect(await tree("squashed")).toBe(await tree(whole));
  expect((await daemon().docker("run", "--rm", "squashed", "ls", "/bin/vi", "/x/gone")).code).not.toBe(0);
  expect(await daemon().dockerOk("run", "--rm", "squashed")).toBe("hi");

  const [last, ...others] = await history("squashed");
  expect(last).toMatchObject({ Comment: `merge ${whole} to ${base.Id}`, CreatedBy: "" });
  expect(last?.Size).toBeGreaterThan(0);
  expect(others.slice(0, 6).map(({ Size }) => Size)).toEqual([0, 0, 0, 0, 0, 0]);
  expect(others[0]?.CreatedBy).toContain('CMD ["sh" "-c" "echo hi"]');
});

test("again, all steps are in the cache, and the layer is the same", async () => {
  await build(STEPS);
  const before = await inspect("squashed");
  expect(await build(STEPS)).toMatch(/(Using cache.*){6}/s);
  expect((await inspect("squashed")).RootFS).toEqual(before.RootFS);
});

test("without a base all is in the one layer; without a change there is none", async () => {
  const busybox = await build("FROM busybox AS all\nFROM scratch\nCOPY --from=all /bin/busybox /bin/busybox\nCOPY --from=all /etc /etc\n");
  expect(busybox).toContain("Successfully built");
  expect((await inspect("squashed")).RootFS.Layers).toHaveLength(1);
  expect((await history("squashed"))[0]?.Comment).toMatch(/^create new from sha256:/);
  expect(await daemon().dockerOk("run", "--rm", "squashed", "/bin/busybox", "id", "-un")).toBe("root");
  await build("FROM busybox\nENV A=1\n");
  expect((await inspect("squashed")).RootFS).toEqual((await inspect("busybox")).RootFS);
});
