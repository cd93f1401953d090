import { EngineError } from "../../base/errors.ts";
import { readFileInRoot } from "../../kernel/root-file.ts";

/** Whom a process runs as, in numbers. */
export interface ProcessUser {
  uid: number;
  gid: number;
  /** Supplementary groups; the primary one is among them (CVE-2022-36109). */
  additionalGids: number[];
  home: string;
}

export interface UserRequest {
  /** `-u`: `name`, `uid`, `name:group`, …; empty: root. */
  user: string;
  /** `--group-add`: names or numbers. */
  groups: readonly string[];
}

/** The largest user and group id that Docker takes. */
const ID_LIMIT = 2_147_483_647;
/** More accounts than this file holds are not looked at in the daemon. */
const FILE_LIMIT_BYTES = 4 * 1024 * 1024;

/** Whom `user` (and `groups`) mean in the root file system mounted at `rootfs`. */
export async function resolveUser(rootfs: string, user: string, groups: readonly string[]): Promise<ProcessUser> {
  const [passwd = "", group = ""] = ["etc/passwd", "etc/group"].map((file) => readFileInRoot(rootfs, file, FILE_LIMIT_BYTES));
  return findUser({ user, groups }, passwd, group);
}

/**
 * Finds user and groups in the texts of the image's /etc/passwd and /etc/group; either may be empty.
 *
 * What is written as a number is that number and never a name, however long it is: an image could list `4294967296` as a name of root
 * (CVE-2024-40635, CVE-2026-46680). Lines that are malformed are passed over, never read as zero.
 */
export function findUser(request: UserRequest, passwd: string, group: string): ProcessUser {
  const [userPart = "", groupPart = ""] = request.user.split(":");
  const account = findAccount(userPart === "" ? "0" : userPart, passwd);
  const groups = parseGroups(group);
  const gid = groupPart === "" ? account.gid : findGroup(groupPart, groups, "unable to find group");
  // With a group of its own the user's other memberships do not count.
  const memberships = groupPart === "" && account.name !== "" ? groups.filter(({ members }) => members.includes(account.name)) : [];
  const added = request.groups.map((wanted) => findGroup(wanted, groups, "Unable to find group"));
  const additionalGids = new Set([gid, ...memberships.map((one) => one.gid).filter(isInRange), ...added]);
  return { uid: checkRange(account.uid), gid: checkRange(gid), additionalGids: [...additionalGids], home: account.home };
}

interface Account {
  /** Empty for a number that the file does not list. */
  name: string;
  uid: number;
  gid: number;
  home: string;
}

function findAccount(wanted: string, passwd: string): Account {
  const number = parseId(wanted);
  for (const [name = "", , uidText = "", gidText = "", , home = ""] of entriesOf(passwd)) {
    const [uid, gid] = [parseId(uidText), parseId(gidText)];
    if (uid === undefined || gid === undefined) continue;
    if (number === undefined ? name === wanted : uid === number) return { name, uid, gid, home: home === "" ? "/" : home };
  }
  if (number === undefined) throw new EngineError("system", `unable to find user ${wanted}: no matching entries in passwd file`);
  return { name: "", uid: number, gid: 0, home: "/" };
}

interface Group {
  name: string;
  gid: number;
  members: string[];
}

function parseGroups(text: string): Group[] {
  return entriesOf(text).flatMap(([name = "", , digits = "", members = ""]) => {
    const gid = parseId(digits);
    return gid === undefined ? [] : [{ name, gid, members: members.split(",") }];
  });
}

function findGroup(wanted: string, groups: readonly Group[], complaint: string): number {
  const found = parseId(wanted) ?? groups.find(({ name }) => name === wanted)?.gid;
  if (found === undefined) throw new EngineError("system", `${complaint} ${wanted}: no matching entries in group file`);
  return checkRange(found);
}

/** The lines of passwd or group, split; comments and empty lines are left out, as glibc does. */
function entriesOf(text: string): string[][] {
  const lines = text.split("\n").map((line) => line.trim());
  return lines.filter((line) => line !== "" && !line.startsWith("#")).map((line) => line.split(":"));
}

function parseId(text: string): number | undefined {
  return /^[+-]?\d+$/.test(text) ? Number(text) : undefined;
}

function isInRange(id: number): boolean {
  return id >= 0 && id <= ID_LIMIT;
}

function checkRange(id: number): number {
  if (!isInRange(id)) throw new EngineError("system", `uids and gids must be in range 0-${ID_LIMIT}`);
  return id;
}
