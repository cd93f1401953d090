import type { Command } from "../command.ts";
import { segment } from "../engine/client.ts";
import { CommandFailure, isNotFound } from "../failure.ts";
import { encodePlatform } from "../options/platform.ts";
import { print, warn } from "../output/print.ts";
import { messageOf } from "../../base/errors.ts";

export type RemovedImage = { readonly Deleted?: string; readonly Untagged?: string };

export const command: Command = {
  usage: "[OPTIONS] IMAGE [IMAGE...]",
  arguments: { min: 1 },
  flags: [
    { name: "force", short: "f", kind: "boolean", usage: "Also where stopped containers use it or it has more names" },
    { name: "no-prune", kind: "boolean", usage: "Keep its untagged parents" },
    { name: "platform", kind: "list", value: "strings", usage: "Only this platform's variant (os[/arch[/variant]])", since: "1.50" },
  ],
  about: "By name only that name goes; the image itself goes with its last name.",
  examples: [["rmi $(tsubo images -q -f dangling=true)", "all that have no name any more"]],
  async run({ client, flags, args }) {
    const force = flags.boolean("force");
    const platforms = flags
      .list("platform")
      .flatMap((text) => text.split(","))
      .flatMap((text) => encodePlatform(text) ?? []);
    const query = { force: force || undefined, noprune: flags.boolean("no-prune") || undefined, platforms };
    const failures: string[] = [];
    let fatal = false;
    for (const image of args) {
      try {
        const removed = await client.json<RemovedImage[]>("DELETE", `/images/${segment(image)}`, { query });
        print(removed.map(({ Deleted, Untagged }) => (Deleted ? `Deleted: ${Deleted}\n` : `Untagged: ${Untagged}\n`)).join(""));
      } catch (error) {
        failures.push(messageOf(error));
        fatal ||= !isNotFound(error);
      }
    }
    if (failures.length === 0) return;
    if (!force || fatal) throw new CommandFailure(failures.join("\n"));
    warn(failures.join("\n"));
  },
};
