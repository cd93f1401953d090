import type { Command } from "../command.ts";
import { CommandFailure, isNotFound } from "../failure.ts";
import { print, printLine } from "../output/print.ts";
import { layOut } from "../output/table.ts";
import { reformatJson } from "../engine/json.ts";

/** The engine's report. */
type Report = {
  readonly checked: readonly { readonly what: string; readonly count: number }[];
  readonly problems: readonly { readonly kind: string; readonly what: string; readonly detail: string; readonly wayOut: string }[];
};

export const command: Command = {
  usage: "[OPTIONS]",
  arguments: { min: 0, max: 0 },
  flags: [
    { name: "format", short: "f", kind: "text", value: "string", usage: "How to print: 'json'", check: checkFormat },
    { name: "quiet", short: "q", kind: "boolean", usage: "Print only what was found" },
  ],
  about:
    "The engine holds its records against the kernel and the disk: mounts, namespaces, links, rules, cgroups, processes, files. It changes nothing. The exit status is 1 when anything was found.",
  async run({ client, flags }) {
    const text = await client.text("GET", "/tsubo/doctor").catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
      throw new CommandFailure(`the engine at ${client.host.url} has no doctor: it is not Tsubo`, 1, { cause: error });
    });
    // Our own engine's answer; engine/system/doctor.ts has the shape.
    const { checked, problems } = JSON.parse(text) as Report;
    if (flags.text("format") === "json") printLine(reformatJson(text, ""));
    else {
      if (!flags.boolean("quiet")) print(`${layOut(checked.map(({ what, count }) => `${what}\t${count}`).join("\n"), 0, 2)}\n\n`);
      for (const { kind, what, detail, wayOut } of problems) printLine(`${kind} ${what}: ${detail}\n  way out: ${wayOut}`);
      if (problems.length > 0) printLine(`${problems.length} ${problems.length === 1 ? "problem" : "problems"} found.`);
      else if (!flags.boolean("quiet")) printLine("Nothing is left over and nothing is missing.");
    }
    return problems.length === 0 ? 0 : 1;
  },
};

function checkFormat(format: string): string {
  if (format !== "json") throw new Error('must be "json"');
  return format;
}
