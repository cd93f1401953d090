import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";

import { findUser, resolveUser, type ProcessUser } from "./user.ts";

const PASSWD = `# a comment
root:x:0:0:root:/root:/bin/sh
daemon:x:1:1::/usr/sbin:/usr/sbin/nologin
bob:x:1000:1000:Bob:/home/bob:/bin/sh
4294967296:x:0:0::/:/bin/sh
99999999999999999999:x:0:0::/:/bin/sh
nobody:x:4294967294:65534::/:/bin/sh
broken:x:::/:/bin/sh
homeless:x:7:7
`;
const GROUP = `root:x:0:
audio:x:29:bob,daemon
wheel:x:10:root,bob
bob:x:1000:
huge:x:4294967295:bob
`;

const find = (user: string, groups: string[] = []): Omit<ProcessUser, "home"> => {
  const { uid, gid, additionalGids } = findUser({ user, groups }, PASSWD, GROUP);
  return { uid, gid, additionalGids };
};

test("by name, by number, with and without a group", () => {
  expect(find("")).toEqual({ uid: 0, gid: 0, additionalGids: [0, 10] });
  expect(find("bob")).toEqual({ uid: 1000, gid: 1000, additionalGids: [1000, 29, 10] });
  expect(find("1000")).toEqual({ uid: 1000, gid: 1000, additionalGids: [1000, 29, 10] });
  expect(find("bob:audio")).toEqual({ uid: 1000, gid: 29, additionalGids: [29] });
  expect(find("bob:77")).toEqual({ uid: 1000, gid: 77, additionalGids: [77] });
  expect(find("4242")).toEqual({ uid: 4242, gid: 0, additionalGids: [0] });
  expect(find("4242:4343")).toEqual({ uid: 4242, gid: 4343, additionalGids: [4343] });
  expect(find(":audio")).toEqual({ uid: 0, gid: 29, additionalGids: [29] });
  expect(findUser({ user: "bob", groups: [] }, PASSWD, GROUP).home).toBe("/home/bob");
  expect(findUser({ user: "homeless", groups: [] }, PASSWD, GROUP).home).toBe("/");
});

test("--group-add takes names and numbers", () => {
  expect(find("4242", ["audio", "55"]).additionalGids).toEqual([0, 29, 55]);
  expect(() => find("", ["nosuch"])).toThrow("Unable to find group nosuch: no matching entries in group file");
});

test("unknown names are refused in Docker's words", () => {
  expect(() => find("nosuch")).toThrow("unable to find user nosuch: no matching entries in passwd file");
  expect(() => find("bob:nosuch")).toThrow("unable to find group nosuch: no matching entries in group file");
  expect(() => find("broken")).toThrow("unable to find user broken");
});

test("a number is never a name of the image's choosing, and never root by overflow", () => {
  for (const user of ["4294967296", "99999999999999999999", "2147483648", "-1", "4294967295", "0:4294967296", "nobody"]) {
    expect(() => find(user)).toThrow("uids and gids must be in range 0-2147483647");
  }
  expect(find("2147483647").uid).toBe(2_147_483_647);
});

test("an image without files, and numbers", () => {
  expect(findUser({ user: "12:13", groups: [] }, "", "")).toEqual({ uid: 12, gid: 13, additionalGids: [13], home: "/" });
  expect(findUser({ user: "", groups: [] }, "", "").uid).toBe(0);
});

test("the files are the image's: a symlink does not lead out of it", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "tsubo-user-"));
  try {
    const root = path.join(folder, "root");
    mkdirSync(path.join(root, "etc"), { recursive: true });
    writeFileSync(path.join(folder, "passwd"), "eve:x:66:66::/:/bin/sh\n");
    symlinkSync(path.join(folder, "passwd"), path.join(root, "etc/passwd"));
    await expect(resolveUser(root, "eve", [])).rejects.toThrow("unable to find user eve");
    rmSync(path.join(root, "etc/passwd"));
    symlinkSync("../../../../passwd", path.join(root, "etc/passwd"));
    await expect(resolveUser(root, "eve", [])).rejects.toThrow("unable to find user eve");
    rmSync(path.join(root, "etc/passwd"));
    mkdirSync(path.join(root, "lib"));
    writeFileSync(path.join(root, "lib/accounts"), "eve:x:66:66::/:/bin/sh\n");
    symlinkSync("/lib/accounts", path.join(root, "etc/passwd"));
    expect((await resolveUser(root, "eve", [])).uid).toBe(66);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
