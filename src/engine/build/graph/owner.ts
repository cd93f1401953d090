import { EngineError, messageOf } from "../../../base/errors.ts";
import { findUser } from "../../containers/user.ts";
import { readFileInRoot } from "../../../kernel/root-file.ts";

/** More accounts than this file holds are not looked at in the daemon. */
const FILE_LIMIT_BYTES = 4 * 1024 * 1024;
const UNCONVERTED = "unable to convert uid/gid chown string to host mapping: ";

/**
 * Whom `--chown=USER:GROUP` means in the tree mounted at `root`. Without a group the user's word is the group's, too, as in Docker's
 * classic builder.
 */
export function ownerOf(root: string, chown: string): { user: number; group: number } {
  const [user = "", group = user, ...more] = chown.split(":");
  if (user === "" || more.length > 0) throw new EngineError("invalid", `${UNCONVERTED}invalid chown string format: ${chown}`);
  const [passwd = "", groups = ""] = ["etc/passwd", "etc/group"].map((file) => readFileInRoot(root, file, FILE_LIMIT_BYTES));
  const id = (text: string): number | undefined => (/^\d+$/.test(text) ? Number(text) : undefined);
  try {
    const found = findUser({ user: `${user}:${id(group) === undefined ? group : "0"}`, groups: [] }, passwd, groups);
    return { user: found.uid, group: id(group) ?? found.gid };
  } catch (error) {
    const isGroup = messageOf(error).includes("group");
    const [kind, id, name] = isGroup ? ["group", "gid", group] : ["user", "uid", user];
    throw new EngineError("invalid", `${UNCONVERTED}can't find ${id} for ${kind} ${name}: no such ${kind}: ${name}`, { cause: error });
  }
}
