import type { Command } from "../command.ts";
import { eachLine } from "../engine/lines.ts";
import { decodeJson } from "../engine/json.ts";
import { CommandFailure } from "../failure.ts";
import { encodeFilters, filterFlag } from "../options/filters.ts";
import { parseTimestamp } from "../options/timestamps.ts";
import { inspectFormatFlag } from "../output/format-flag.ts";
import { TEMPLATE_FAILURE } from "../output/inspection.ts";
import { printLine } from "../output/print.ts";
import { formatNanoseconds } from "../output/units.ts";
import { structType } from "../templates/go-structs.ts";
import { compileTemplate } from "../templates/template.ts";
import { messageOf } from "../../base/errors.ts";

type Event = {
  readonly Type: string;
  readonly Action: string;
  readonly Actor: { readonly ID: string; readonly Attributes: Readonly<Record<string, string>> | null };
  readonly time?: number;
  /** Beyond 2^53: a bigint. */
  readonly timeNano?: number | bigint;
};

export const command: Command = {
  usage: "[OPTIONS]",
  arguments: { min: 0, max: 0 },
  flags: [
    filterFlag("Only those that fit: type=, event=, container=, image=, network=, volume=, label=, …", "f"),
    { name: "format", kind: "text", value: "string", usage: inspectFormatFlag.usage },
    { name: "since", kind: "text", value: "string", usage: "Also what was since this time, or so long ago" },
    { name: "until", kind: "text", value: "string", usage: "End at this time" },
  ],
  about: "Goes on until it is interrupted, or until --until.",
  examples: [
    ["events -f type=container -f event=die --format '{{.Actor.Attributes.name}} {{.Actor.Attributes.exitCode}}'", "who ended, and how"],
    ["events --since 1h --until 0s", "the last hour"],
  ],
  async run({ client, flags }) {
    const show = printer(flags.text("format"));
    const body = await client.request("GET", "/events", {
      query: {
        since: parseTimestamp(flags.text("since")),
        until: parseTimestamp(flags.text("until")),
        filters: encodeFilters(flags.list("filter")),
      },
    });
    // The engine's own format: one JSON object a line.
    for await (const line of eachLine(body)) printLine(show(decodeJson(line) as Event));
  },
};

function printer(format: string): (event: Event) => string {
  if (format === "") return describe;
  const type = structType("Message");
  try {
    const template = compileTemplate(format === "json" ? "{{json .}}" : format);
    // A field that events do not have is an error at once, not with the first event.
    template.execute({ type: { kind: "pointer", to: type }, value: {} });
    return (value) => template.execute({ type, value });
  } catch (error) {
    throw new CommandFailure(`Error parsing format: ${messageOf(error)}`, TEMPLATE_FAILURE, { cause: error });
  }
}

function describe({ Type: type, Action: action, Actor: actor, time = 0, timeNano = 0 }: Event): string {
  const ns = BigInt(timeNano) || BigInt(time) * 1_000_000_000n;
  const attributes = Object.entries(actor.Attributes ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`);
  const details = attributes.length === 0 ? "" : ` (${attributes.join(", ")})`;
  return `${ns === 0n ? "" : `${formatNanoseconds(ns)} `}${type} ${action} ${actor.ID}${details}`;
}
