import type { Command } from "../command.ts";
import { API_VERSION } from "../engine/client.ts";
import { HUB_SERVER } from "../engine/credentials.ts";
import { CommandFailure } from "../failure.ts";
import { inspectFormatFlag } from "../output/format-flag.ts";
import { infoText, type Info } from "../output/info-text.ts";
import { compileOne } from "../output/inspection.ts";
import { print, printLine, warn } from "../output/print.ts";
import { structType } from "../templates/go-structs.ts";
import type { Template } from "../templates/template.ts";
import { BUILD, VERSION } from "../version.ts";
import { messageOf } from "../../base/errors.ts";

export const command: Command = {
  usage: "[OPTIONS]",
  arguments: { min: 0, max: 0 },
  flags: [inspectFormatFlag],
  examples: [["info --format '{{.Driver}} {{.CgroupVersion}}'", "two facts"]],
  async run({ client, config, flags, debug }) {
    const format = flags.text("format");
    const template = format === "" ? undefined : compileOne(format === "json" ? "{{json .}}" : format);
    const ours = {
      Debug: debug,
      Platform: { Name: "Tsubo" },
      Version: VERSION,
      DefaultAPIVersion: API_VERSION,
      GitCommit: BUILD,
      GoVersion: `node ${process.version}`,
      Os: process.platform,
      Arch: process.arch === "x64" ? "amd64" : process.arch,
      Context: "default",
      Plugins: [],
      Warnings: null,
    };
    if (template !== undefined && isAboutClient(template, format, ours)) {
      print(`${template.execute(infoValue({ ClientInfo: ours }))}\n`);
      return;
    }
    const [info, failure] = await client.json<Info>("GET", "/info").then(
      (answer) => [answer, undefined] as const,
      (error: unknown) => [undefined, error] as const,
    );
    if (template !== undefined) {
      try {
        print(template.execute(infoValue({ ...info, ClientInfo: ours })));
      } finally {
        print("\n");
      }
    } else {
      printLine(`Client: Tsubo\n Version:    ${VERSION}\n Context:    default\n Debug Mode: ${ours.Debug}\n\nServer:`);
      if (info !== undefined) {
        print(infoText(info, { user: userOf(config.auths[HUB_SERVER]?.auth ?? ""), debug }));
        for (const warning of info.Warnings ?? []) warn(warning);
      }
    }
    if (failure !== undefined) throw new CommandFailure(messageOf(failure), 1, { cause: failure });
  },
};

const infoValue = (value: unknown): Parameters<Template["execute"]>[0] => ({ type: structType("DockerInfo"), value });

/** A template that names fields and gets along with the client's alone needs no engine. */
function isAboutClient(template: Template, format: string, ours: unknown): boolean {
  if (!/\.[a-zA-Z]/.test(format)) return false;
  try {
    template.execute({ type: structType("ClientOnly"), value: { ClientInfo: ours } });
    return true;
  } catch {
    return false;
  }
}

function userOf(auth: string): string {
  return Buffer.from(auth, "base64").toString("utf8").split(":")[0] ?? "";
}
