import type { Command } from "../command.ts";
import { attach } from "../engine/attach.ts";
import { inspectContainer, waitFor } from "../engine/containers.ts";
import { forwardSignals } from "../engine/signals.ts";
import { checkTerminal } from "../engine/streams.ts";
import { followTerminalSize } from "../engine/terminal.ts";
import { CommandFailure } from "../failure.ts";
import { detachKeysFlag, signalProxyFlag } from "../options/attach-flags.ts";
import { isTerminal } from "../output/print.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER",
  arguments: { min: 1, max: 1 },
  flags: [detachKeysFlag, { name: "no-stdin", kind: "boolean", usage: "Leave standard input alone" }, signalProxyFlag],
  about: "Shows what it writes from now on (`logs` has what came before) and ends as it ends.",
  examples: [["attach --no-stdin --sig-proxy=false web", "watch only: Ctrl-C leaves, and it runs on"]],
  async run({ client, config, flags, args }) {
    const { Id: id, State: state, Config: container } = await inspectContainer(client, args[0] ?? "");
    if (!state.Running) throw new CommandFailure("You cannot attach to a stopped container, start it first");
    if (state.Paused) throw new CommandFailure("You cannot attach to a paused container, unpause it first");
    if (state.Restarting) throw new CommandFailure("You cannot attach to a restarting container, wait until it is running");
    const wantsInput = !flags.boolean("no-stdin");
    checkTerminal(wantsInput, container.Tty);
    if (flags.boolean("sig-proxy") && !container.Tty) forwardSignals(client, id);
    // Waiting begins first, so that an end in between is not missed.
    const { exit } = await waitFor(client, id, "not-running");
    const streams = await attach(client, id, {
      stdin: wantsInput && container.OpenStdin,
      stdout: true,
      stderr: true,
      tty: container.Tty,
      detachKeys: flags.text("detach-keys") || config.detachKeys,
    });
    if (container.Tty && isTerminal(1)) followTerminalSize(client, { container: id }, { redraw: true });
    if ((await streams.ended) === "detached") throw new CommandFailure("read escape sequence");
    return exit;
  },
};
