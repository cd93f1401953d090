import { readFileSync } from "node:fs";

/** Names of the host's users and groups, which Docker's archives carry beside the numbers. Read once. */
let names: { users: Map<number, string>; groups: Map<number, string> } | undefined;

export function accountNames(user: number, group: number): { user: string; group: string } {
  names ??= { users: read("/etc/passwd"), groups: read("/etc/group") };
  return { user: names.users.get(user) ?? "", group: names.groups.get(group) ?? "" };
}

function read(file: string): Map<number, string> {
  const found = new Map<number, string>();
  try {
    for (const line of readFileSync(file, "latin1").split("\n")) {
      const [name = "", , id = ""] = line.split(":");
      if (/^\d+$/.test(id) && !found.has(Number(id))) found.set(Number(id), name);
    }
  } catch {
    // A host without the file has no names.
  }
  return found;
}
