import type { Call, Command } from "../command.ts";
import { attach } from "../engine/attach.ts";
import { containerPath, inspectContainer, waitFor } from "../engine/containers.ts";
import { forwardSignals } from "../engine/signals.ts";
import { followTerminalSize } from "../engine/terminal.ts";
import { CommandFailure } from "../failure.ts";
import { detachKeysFlag } from "../options/attach-flags.ts";
import { isTerminal, printLine, warn } from "../output/print.ts";
import { messageOf } from "../../base/errors.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER [CONTAINER...]",
  arguments: { min: 1 },
  flags: [
    { name: "attach", short: "a", kind: "boolean", usage: "Show its output, pass signals on, and end as it ends" },
    { name: "checkpoint", kind: "text", value: "string", usage: "", hidden: true },
    { name: "checkpoint-dir", kind: "text", value: "string", usage: "", hidden: true },
    detachKeysFlag,
    { name: "interactive", short: "i", kind: "boolean", usage: "Attach standard input too" },
  ],
  examples: [["start -ai shell", "go on in a shell that was left"]],
  run: (call) => {
    for (const name of ["checkpoint", "checkpoint-dir"]) {
      if (call.flags.changed(name))
        throw new CommandFailure(`"--${name}" is only supported on a Docker daemon with experimental features enabled`);
    }
    return call.flags.boolean("attach") || call.flags.boolean("interactive") ? startAttached(call) : startAll(call);
  },
};

/** One after another: each failure is shown at its place. */
async function startAll({ client, args }: Call): Promise<void> {
  const failed: string[] = [];
  for (const name of args) {
    try {
      await client.text("POST", containerPath(name, "start"));
      printLine(name);
    } catch (error) {
      warn(messageOf(error));
      failed.push(name);
    }
  }
  if (failed.length > 0) throw new CommandFailure(`Error: failed to start containers: ${failed.join(", ")}`);
}

async function startAttached({ client, config, flags, args }: Call): Promise<number | undefined> {
  if (args.length > 1) throw new CommandFailure("you cannot start and attach multiple containers at once");
  const { Id: id, Config: container, HostConfig: hostConfig } = await inspectContainer(client, args[0] ?? "");
  if (!container.Tty) forwardSignals(client, id);
  const streams = await attach(client, id, {
    stdin: flags.boolean("interactive") && container.OpenStdin,
    stdout: true,
    stderr: true,
    tty: container.Tty,
    detachKeys: flags.text("detach-keys") || config.detachKeys,
  });
  const { exit } = await waitFor(client, id, hostConfig.AutoRemove ? "removed" : "next-exit");
  try {
    await client.text("POST", containerPath(id, "start"));
  } catch (error) {
    streams.stop.abort();
    await streams.ended.catch(() => undefined);
    if (hostConfig.AutoRemove) await exit;
    throw error;
  }
  if (container.Tty && isTerminal(1)) followTerminalSize(client, { container: id });
  return (await streams.ended) === "detached" ? undefined : exit;
}
