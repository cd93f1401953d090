import type { Command } from "../command.ts";
import { CommandFailure } from "../failure.ts";
import { filterFlag, encodeFilters } from "../options/filters.ts";
import { CONTAINER_ROW, containerList, containerRow, type ContainerSummary } from "../output/containers-list.ts";
import { formatFlag } from "../output/format-flag.ts";
import { printList, rowValue } from "../output/list.ts";
import { warn } from "../output/print.ts";
import { compileTemplate } from "../templates/template.ts";

const TABLE = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";
const RAW = `container_id: {{.ID}}
image: {{.Image}}
command: {{.Command}}
created_at: {{.CreatedAt}}
state: {{- pad .State 1 0}}
status: {{- pad .Status 1 0}}
names: {{.Names}}
labels: {{- pad .Labels 1 0}}
ports: {{- pad .Ports 1 0}}
`;

export const command: Command = {
  usage: "[OPTIONS]",
  arguments: { min: 0, max: 0 },
  flags: [
    { name: "all", short: "a", kind: "boolean", usage: "Stopped containers too" },
    filterFlag("Only those that fit: name=, id=, status=, label=, ancestor=, network=, volume=, publish=, health=, …", "f"),
    formatFlag,
    { name: "last", short: "n", kind: "integer", value: "int", initial: "-1", usage: "The last so many that were created, in any state" },
    { name: "latest", short: "l", kind: "boolean", usage: "The one created last, in any state" },
    { name: "no-trunc", kind: "boolean", usage: "Full ids, commands and names" },
    { name: "quiet", short: "q", kind: "boolean", usage: "Ids only" },
    { name: "size", short: "s", kind: "boolean", usage: "Sizes too" },
  ],
  examples: [
    ["ps -aq -f status=exited", "the ids of all that have ended"],
    ["ps --format '{{.Names}}: {{.Ports}}'", "in a form of your own"],
  ],
  async run({ client, config, flags }) {
    const quiet = flags.boolean("quiet");
    const given = flags.text("format");
    if (given !== "" && quiet) warn("WARNING: Ignoring custom format, because both --format and --quiet are set.");
    const format = given || config.psFormat;
    const size = flags.boolean("size") || (!quiet && !flags.changed("size") && usesSize(format));
    const last = flags.integer("last");
    const limit = flags.boolean("latest") && last === -1 ? 1 : last;
    const containers = await client.json<ContainerSummary[]>("GET", "/containers/json", {
      query: {
        all: flags.boolean("all") || undefined,
        limit: limit > 0 ? limit : undefined,
        size: size || undefined,
        filters: encodeFilters(flags.list("filter")),
      },
    });
    printList(template(format, quiet, size), containerList(containers, !flags.boolean("no-trunc")));
  },
};

function template(format: string, quiet: boolean, size: boolean): string {
  if (format === "raw") return quiet ? "container_id: {{.ID}}" : RAW + (size ? "size: {{.Size}}\n" : "");
  if (quiet) return "{{.ID}}";
  return format === "" || format === "table" ? TABLE + (size ? "\t{{.Size}}" : "") : format;
}

/** Computing sizes is costly for the engine: it is asked for them only when the template prints them. Checks the template as well. */
function usesSize(format: string): boolean {
  if (format === "") return false;
  let used = false;
  const nobody = { Id: "", Names: null, Image: "", ImageID: "", Command: "", Created: 0, Ports: null, Labels: null, State: "", Status: "" };
  const row = containerRow(nobody, true, () => {
    used = true;
  });
  let compiled;
  try {
    compiled = compileTemplate(format);
  } catch (error) {
    throw new CommandFailure(`failed to parse template: ${error instanceof Error ? error.message : String(error)}`, 1, { cause: error });
  }
  try {
    compiled.execute(rowValue(CONTAINER_ROW, row));
  } catch (error) {
    throw new CommandFailure(`failed to execute template: ${error instanceof Error ? error.message : String(error)}`, 1, { cause: error });
  }
  return used;
}
