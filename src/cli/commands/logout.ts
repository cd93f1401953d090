import type { Command } from "../command.ts";
import { eraseLogin, HUB_SERVER, serverOf } from "../engine/credentials.ts";
import { printLine, warn } from "../output/print.ts";
import { messageOf } from "../../base/errors.ts";

export const command: Command = {
  usage: "[SERVER]",
  arguments: { min: 0, max: 1 },
  flags: [],
  about: "Forgets the stored login: of Docker Hub where no server is named. Registries are not asked.",
  async run({ config, args }) {
    const server = serverOf(args[0] ?? "");
    printLine(`Removing login credentials for ${server}`);
    // Older clients stored a login under the name it was given by.
    const names = server === HUB_SERVER ? [server] : new Set([args[0] ?? "", server, `http://${server}`, `https://${server}`]);
    const failures: string[] = [];
    for (const name of names) {
      try {
        eraseLogin(config, name);
      } catch (error) {
        failures.push(`${name}: ${messageOf(error)}`);
      }
    }
    if (failures.length === [...names].length) warn(`WARNING: could not erase credentials:\n${failures.join("\n")}`);
  },
};
