import type { Command } from "../command.ts";
import { containerPath, inspectContainer } from "../engine/containers.ts";
import { checkTerminal, joinStreams } from "../engine/streams.ts";
import { followTerminalSize, terminalSize } from "../engine/terminal.ts";
import { detachKeysFlag } from "../options/attach-flags.ts";
import { checkVariable, readPairs } from "../options/environment.ts";
import { isTerminal } from "../output/print.ts";
import { CommandFailure, ConnectionError } from "../failure.ts";

export const command: Command = {
  usage: "[OPTIONS] CONTAINER COMMAND [ARG...]",
  arguments: { min: 2 },
  flagsFirst: true,
  flags: [
    { name: "detach", short: "d", kind: "boolean", usage: "Leave the command running in the background" },
    detachKeysFlag,
    {
      name: "env",
      short: "e",
      kind: "list",
      value: "list",
      usage: "Environment variable (NAME=value, or NAME for the value it has here)",
      check: checkVariable,
      since: "1.25",
    },
    { name: "env-file", kind: "list", value: "list", usage: "File of environment variables, one a line" },
    { name: "interactive", short: "i", kind: "boolean", usage: "Keep standard input open" },
    { name: "privileged", kind: "boolean", usage: "All capabilities for the command" },
    { name: "tty", short: "t", kind: "boolean", usage: "Give it a terminal" },
    { name: "user", short: "u", kind: "text", value: "string", usage: "User to run as (name|uid[:group|gid])" },
    { name: "workdir", short: "w", kind: "text", value: "string", usage: "Working directory", since: "1.35" },
  ],
  examples: [
    ["exec -it web bash", "a shell inside a running container"],
    ["exec -e DEBUG=1 -w /app web npm run migrate", "one command, with a variable and a folder"],
  ],
  async run({ client, config, flags, args }) {
    const [container = "", ...cmd] = args;
    const [detach, tty, interactive] = [flags.boolean("detach"), flags.boolean("tty"), flags.boolean("interactive")];
    const detachKeys = flags.text("detach-keys") || config.detachKeys;
    const environment = readPairs(flags.list("env-file"), flags.list("env"), process.env);
    // Before anything is made: a container that is not there is the error to report, and an exec that cannot be used would stay.
    await inspectContainer(client, container);
    if (!detach) checkTerminal(interactive, tty);
    const size = tty ? { ConsoleSize: terminalSize() } : {};
    const { Id: id } = await client.json<{ Id: string }>("POST", containerPath(container, "exec"), {
      body: {
        User: flags.text("user"),
        Privileged: flags.boolean("privileged"),
        Tty: tty,
        ...size,
        AttachStdin: !detach && interactive,
        AttachStdout: !detach,
        AttachStderr: !detach,
        DetachKeys: detachKeys,
        Env: environment,
        WorkingDir: flags.text("workdir"),
        Cmd: cmd,
      },
    });
    if (id === "") throw new CommandFailure("exec ID empty");
    if (detach) {
      await client.text("POST", `/exec/${id}/start`, { body: { Detach: true, Tty: tty, ...size } });
      return undefined;
    }
    const socket = await client.hijack(`/exec/${id}/start`, { body: { Detach: false, Tty: tty, ...size } });
    const ended = joinStreams(socket, { stdin: interactive, stdout: true, stderr: true, tty, detachKeys });
    if (tty && isTerminal(0)) followTerminalSize(client, { exec: id });
    if ((await ended) === "detached") throw new CommandFailure("read escape sequence");
    try {
      return (await client.json<{ ExitCode: number | null }>("GET", `/exec/${id}/json`)).ExitCode ?? 0;
    } catch (error) {
      // The daemon died under the command: what became of it nobody knows.
      if (error instanceof ConnectionError) return 255;
      throw error;
    }
  },
};
