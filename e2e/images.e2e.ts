import { writeFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { useDaemon } from "./harness.ts";
import { makeDebian, missingTools, openDebianRegistry, usePlace } from "./images/place.ts";
import { setAttributeOfPath } from "../src/kernel/file-attributes.ts";
import { tar, type Entry } from "../src/testing/tar.ts";
import { describeTree, differences } from "./images/tree.ts";

/**
 * Images as others make them: trees packed by GNU tar, images by umoci, pushed by skopeo to Debian's docker-registry. What we unpack must
 * be what was packed.
 */

/** cap_net_raw=ep, as the kernel keeps it. */
const CAP_NET_RAW = "0100000200200000000000000000000000000000";

const daemon = useDaemon();
const missing = missingTools("mmdebstrap", "umoci", "skopeo", "docker-registry", "tar", "script");
const place = usePlace();
const folder = (name: string, more: Partial<Entry> = {}): Entry => ({ name, type: "directory", ...more });

/** Of each kind of file one, and of each way in which one layer changes what the layers below it hold. */
const LAYERS: Entry[][] = [
  [
    folder("./"),
    folder("kept", { mode: 0o1777, owner: [70_000, 70_001] }),
    { name: "kept/setuid", mode: 0o6755, owner: [5, 6], content: "setuid" },
    { name: "kept/capable", mode: 0o755, content: "x", pax: { "SCHILY.xattr.security.capability": Buffer.from(CAP_NET_RAW, "hex") } },
    { name: "kept/attributed", content: "x", pax: { "SCHILY.xattr.user.note": "a=b\nc\0d", mtime: "1600000000.123456789" } },
    { name: "kept/symlink", type: "symlink", link: "/nowhere/at/all", owner: [5, 6] },
    { name: "kept/fifo", type: "fifo", mode: 0o600 },
    { name: "kept/character", type: "character", device: [5, 300] },
    { name: "kept/block", type: "block", device: [259, 70_000] },
    { name: "kept/first", content: "one file, three names" },
    { name: "kept/second", type: "hardlink", link: "kept/first" },
    folder("other"),
    { name: "other/third", type: "hardlink", link: "./kept/first" },
    { name: `other/${"n".repeat(200)}`, content: "long name" },
    { name: "other/no UTF-8: \u00ff\u00fe", content: "x" },
    folder("gone"),
    { name: "gone/file", content: "x" },
    folder("emptied"),
    { name: "emptied/below", content: "x" },
    folder("emptied/deep"),
    { name: "emptied/deep/below", content: "x" },
    { name: "file", content: "old" },
    { name: "file-to-folder", content: "old" },
    folder("folder-to-file"),
    { name: "folder-to-file/below", content: "x" },
    folder("folder-to-link"),
    { name: "folder-to-link/below", content: "x" },
    folder("private", { mode: 0o700, owner: [7, 7] }),
    folder("private/too", { mode: 0o2750, owner: [8, 8], pax: { "SCHILY.xattr.user.note": "kept" } }),
    folder("lib"),
    { name: "lib/a", content: "a" },
    { name: "lib64", type: "symlink", link: "lib" },
  ],
  [
    { name: ".wh.gone" },
    folder("emptied", { mode: 0o700 }),
    { name: "emptied/new", content: "new" },
    { name: "emptied/.wh..wh..opq" },
    folder("kept", { mode: 0o1777, owner: [70_000, 70_001] }),
    { name: "kept/.wh.second" },
    { name: "kept/.wh.was-never-there" },
    { name: "file", content: "new", mode: 0o600, owner: [1, 1] },
    folder("file-to-folder"),
    { name: "file-to-folder/inside", content: "x" },
    { name: "folder-to-file", content: "a file now" },
    { name: "folder-to-link", type: "symlink", link: "lib" },
    { name: "private/too/file", content: "in folders that only the layer below brings" },
    { name: "new-first", content: "linked within the second layer" },
    { name: "new-second", type: "hardlink", link: "/new-first" },
  ],
  [
    folder("gone"),
    { name: "gone/again", content: "x" },
    folder("emptied", { mode: 0o700 }),
    folder("emptied/deep"),
    { name: "emptied/deep/again", content: "x" },
    { name: ".wh.new-first" },
    folder("folder-to-file"),
    { name: "folder-to-file/again", content: "x" },
  ],
];

const docker = (...args: string[]): Promise<string> => daemon().dockerOk(...args);

describe.skipIf(missing.length > 0)("through docker-registry", () => {
  let registry: Awaited<ReturnType<typeof openDebianRegistry>>;

  beforeAll(async () => {
    registry = await openDebianRegistry(place);
  });
  afterAll(async () => {
    await registry[Symbol.asyncDispose]();
  });

  /** Makes an OCI image of layers with umoci, pushes it; its reference. */
  async function push(name: string, archives: string[], ...config: string[]): Promise<string> {
    const layout = place.file(`layout-${name}`);
    const image = `${layout}:${name}`;
    await place.tool(["umoci", "init", "--layout", layout]);
    await place.tool(["umoci", "new", "--image", image]);
    for (const archive of archives) await place.tool(["umoci", "raw", "add-layer", "--image", image, archive]);
    await place.tool(["umoci", "config", "--image", image, "--config.cmd", "bash", ...config]);
    const reference = `${registry.host}/${name}:1`;
    await place.tool(["skopeo", "copy", "--insecure-policy", "--dest-tls-verify=false", `oci:${image}`, `docker://${reference}`]);
    return reference;
  }

  describe("Debian", () => {
    let root: string | undefined;
    let reference: string;

    beforeAll(async () => {
      root = await makeDebian(place);
      if (root === undefined) return;
      // Not all releases give it one.
      setAttributeOfPath(`${root}/usr/bin/ping`, "security.capability", Buffer.from(CAP_NET_RAW, "hex"));
      const archive = place.file("debian.tar");
      await place.tool(["tar", "--format=pax", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-C", root, "-cf", archive, "."]);
      reference = await push("debian", [archive]);
      await docker("pull", reference);
    });

    beforeEach(({ skip }) => skip(root === undefined, "no Debian mirror can be reached"));

    test("runs", async () => {
      expect(await docker("run", "--rm", reference, "cat", "/etc/os-release")).toContain("ID=debian");
      expect(await docker("run", "--rm", reference, "ping", "-c1", "127.0.0.1")).toContain("1 received");
    });

    test("has an interactive bash in a real terminal", async () => {
      const session = `${daemon().pathOf("docker")} run -it --rm ${reference}`;
      const typed = await daemon().run(["script", "-qec", session, "/dev/null"], { input: "tty; echo $((6*7))-$-; exit 5\n" });
      expect(typed.stdout).toMatch(/\/dev\/pts\/0\r\n/);
      expect(typed.stdout).toMatch(/42-\w*i\w*\r\n/);
      expect(typed.code).toBe(5);
    });

    test("is unpacked as it was packed, to every attribute", async () => {
      const original = describeTree(root ?? "", { times: "ns" });
      expect(original.get("usr/bin/su")).toMatch(/^mode 104755 /);
      expect(original.get("usr/bin/ping")).toContain("security.capability=");
      const [top = ""] = await layerFolders(reference);
      expect(differences(original, describeTree(top, { times: "ns" }))).toEqual([]);
    });
  });

  test("layers over layers make the tree that umoci makes of them", async () => {
    const archives = LAYERS.map((entries, index) => {
      const file = place.file(`layer-${index}.tar`);
      writeFileSync(file, tar(...entries));
      return file;
    });
    const reference = await push("layered", archives);
    const bundle = place.file("bundle");
    await place.tool(["umoci", "unpack", "--image", `${place.file("layout-layered")}:layered`, bundle]);
    await docker("pull", reference);
    const merged = await mountLayers(await layerFolders(reference));
    try {
      const expected = describeTree(`${bundle}/rootfs`, { times: "ns" });
      expect(differences(expected, describeTree(merged, { times: "ns" }))).toEqual([]);
    } finally {
      await place.tool(["umount", merged]);
    }
  });
});

/** The folders of an image's layers, uppermost first. */
async function layerFolders(image: string): Promise<string[]> {
  const data = await docker("image", "inspect", "-f", "{{json .GraphDriver.Data}}", image);
  // Named by the overlay driver.
  const { UpperDir, LowerDir } = JSON.parse(data) as { UpperDir: string; LowerDir?: string };
  return [UpperDir, ...(LowerDir?.split(":") ?? [])];
}

/** The layers as a container sees them. */
async function mountLayers(folders: string[]): Promise<string> {
  const target = place.file("merged");
  await place.tool(["mkdir", target]);
  await place.tool(["mount", "-t", "overlay", "overlay", "-o", `ro,lowerdir=${folders.join(":")}`, target]);
  return target;
}
