import type { Command } from "../command.ts";
import { inspectContainer } from "../engine/containers.ts";
import { frameReader } from "../engine/frames.ts";
import { parseTimestamp } from "../options/timestamps.ts";
import { writeAll } from "../output/print.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER",
  arguments: { min: 1, max: 1 },
  flags: [
    { name: "details", kind: "boolean", usage: "Show the extra attributes of the log driver" },
    { name: "follow", short: "f", kind: "boolean", usage: "Go on as more is written" },
    { name: "since", kind: "text", value: "string", usage: "From this time on (2026-01-31T08:00:00Z), or so long ago (42m)" },
    { name: "tail", short: "n", kind: "text", value: "string", initial: "all", usage: "Only so many lines from the end" },
    { name: "timestamps", short: "t", kind: "boolean", usage: "Show when each line was written" },
    { name: "until", kind: "text", value: "string", usage: "Up to this time, or so long ago", since: "1.35" },
  ],
  examples: [
    ["logs -f --tail 20 web", "the last lines, then what comes"],
    ["logs --since 10m -t web", "the last ten minutes, with times"],
  ],
  async run({ client, flags, args }) {
    const container = await inspectContainer(client, args[0] ?? "");
    const body = await client.request("GET", `/containers/${container.Id}/logs`, {
      query: {
        stdout: true,
        stderr: true,
        since: parseTimestamp(flags.text("since"), "since"),
        until: parseTimestamp(flags.text("until"), "until"),
        timestamps: flags.boolean("timestamps") || undefined,
        details: flags.boolean("details") || undefined,
        follow: flags.boolean("follow") || undefined,
        tail: flags.text("tail"),
      },
    });
    const stdout = (data: Uint8Array): void => writeAll(1, data);
    const read = container.Config.Tty ? stdout : frameReader({ stdout, stderr: (data) => writeAll(2, data) });
    // Without an encoding set, a body's chunks are Buffers.
    for await (const chunk of body) read(chunk as Buffer);
  },
};
