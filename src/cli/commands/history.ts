import type { Command } from "../command.ts";
import { segment } from "../engine/client.ts";
import { encodePlatform } from "../options/platform.ts";
import { formatFlag } from "../output/format-flag.ts";
import { printList } from "../output/list.ts";
import { ellipsis } from "../output/table.ts";
import { formatAgo, formatDate, formatSize } from "../output/units.ts";
import type { Row } from "../templates/go-values.ts";

/** One step of `GET /images/{name}/history`. */
type Step = {
  readonly Id: string;
  readonly Created: number;
  readonly CreatedBy: string;
  readonly Size: number;
  readonly Comment: string;
};

const headings = {
  ID: "IMAGE",
  CreatedSince: "CREATED",
  CreatedAt: "CREATED AT",
  CreatedBy: "CREATED BY",
  Size: "SIZE",
  Comment: "COMMENT",
};

const CREATED_BY_WIDTH = 45;
/** A date up to here was never meant as one: builds that are the same every time set it to 0. */
const EARLIEST_DATE = Date.UTC(2000, 0, 1) / 1000;

export const command: Command = {
  usage: "[OPTIONS] IMAGE",
  arguments: { min: 1, max: 1 },
  flags: [
    formatFlag,
    { name: "human", short: "H", kind: "boolean", initial: "true", usage: "Sizes and dates for people" },
    { name: "no-trunc", kind: "boolean", usage: "Full ids and commands" },
    { name: "platform", kind: "text", value: "string", usage: "Of the variant for this platform (os[/arch[/variant]])", since: "1.48" },
    { name: "quiet", short: "q", kind: "boolean", usage: "Ids only" },
  ],
  about: "The latest step comes first.",
  async run({ client, flags, args }) {
    const steps = await client.json<Step[]>("GET", `/images/${segment(args[0] ?? "")}/history`, {
      query: { platform: encodePlatform(flags.text("platform")) },
    });
    const human = flags.boolean("human");
    const truncate = !flags.boolean("no-trunc");
    const format = flags.text("format") || "table";
    printList(format === "table" ? table(flags.boolean("quiet"), human) : format, {
      rowType: "*image.historyContext",
      headings,
      rows: steps.map((step) => row(step, truncate, human)),
    });
  },
};

function table(quiet: boolean, human: boolean): string {
  return quiet ? "{{.ID}}" : `table {{.ID}}\t{{.Created${human ? "Since" : "At"}}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}`;
}

function row(step: Step, truncate: boolean, human: boolean): Row {
  const createdAt = (): string => formatDate(step.Created);
  const createdBy = step.CreatedBy.replaceAll("\t", " ");
  return {
    ID: () => (truncate ? step.Id.replace(/^sha256:/, "").slice(0, 12) : step.Id),
    CreatedAt: createdAt,
    CreatedSince: () => (!human ? createdAt() : step.Created <= EARLIEST_DATE ? "" : formatAgo(step.Created)),
    CreatedBy: () => (truncate ? ellipsis(createdBy, CREATED_BY_WIDTH) : createdBy),
    Size: () => (human ? formatSize(step.Size, 3) : String(step.Size)),
    Comment: () => step.Comment,
  };
}
