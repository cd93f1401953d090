import type { Call, Command } from "../command.ts";
import { PROGRAM } from "../command.ts";
import { CommandFailure } from "../failure.ts";
import { attach } from "../engine/attach.ts";
import { containerPath, createContainer, readCreateOptions, waitFor } from "../engine/containers.ts";
import { proxyVariables } from "../engine/proxies.ts";
import { forwardSignals } from "../engine/signals.ts";
import { checkTerminal } from "../engine/streams.ts";
import { followTerminalSize } from "../engine/terminal.ts";
import { detachKeysFlag, signalProxyFlag } from "../options/attach-flags.ts";
import { containerFlags } from "../options/container-flags.ts";
import { readContainerOptions, type ContainerOptions } from "../options/container-options.ts";
import { isTerminal, printLine } from "../output/print.ts";

export const command: Command = {
  usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
  arguments: { min: 1 },
  flagsFirst: true,
  flags: [
    ...containerFlags,
    { name: "detach", short: "d", kind: "boolean", usage: "Leave it running in the background and print its id" },
    detachKeysFlag,
    signalProxyFlag,
  ],
  examples: [
    ["run --rm -it debian bash", "a shell, and nothing left behind"],
    ["run -d --name web -p 8080:80 nginx", "a server in the background, on port 8080 of this machine"],
    ["run --rm -v $PWD:/src -w /src node:24 npm test", "a tool on the files of this folder"],
    ["run -m 200m --cpus 0.5 IMAGE", "with limits on memory and CPU"],
  ],
  async run(call) {
    let container;
    let options;
    try {
      options = readCreateOptions(call);
      container = readContainerOptions(call.flags, call.args, proxyVariables(call, call.flags.list("env")));
    } catch (error) {
      throw withHelp(error, "run", 125);
    }
    return runContainer(call, container, options);
  },
};

async function runContainer(
  call: Call,
  container: ContainerOptions,
  options: ReturnType<typeof readCreateOptions>,
): Promise<number | undefined> {
  const { client, flags } = call;
  const { config, hostConfig } = container;
  if (flags.boolean("detach")) {
    if (flags.list("attach").length > 0) throw new CommandFailure("conflicting options: cannot specify both --attach and --detach");
    Object.assign(config, { AttachStdin: false, AttachStdout: false, AttachStderr: false, StdinOnce: false });
  } else checkTerminal(config.AttachStdin, config.Tty);

  let id: string;
  try {
    id = await createContainer(call, container, options);
  } catch (error) {
    throw startFailure(error);
  }
  if (flags.boolean("sig-proxy")) forwardSignals(client, id);
  const attached = config.AttachStdin || config.AttachStdout || config.AttachStderr;
  const streams = attached
    ? await attach(client, id, {
        stdin: config.AttachStdin,
        stdout: config.AttachStdout,
        stderr: config.AttachStderr,
        tty: config.Tty,
        detachKeys: flags.text("detach-keys") || call.config.detachKeys,
      })
    : undefined;
  const { exit } = await waitFor(client, id, hostConfig.AutoRemove ? "removed" : "next-exit");
  try {
    await client.text("POST", containerPath(id, "start"));
  } catch (error) {
    streams?.stop.abort();
    await streams?.ended.catch(() => undefined);
    if (hostConfig.AutoRemove) await exit;
    throw startFailure(error);
  }
  if (streams === undefined) {
    printLine(id);
    return undefined;
  }
  if (config.Tty && isTerminal(1)) followTerminalSize(client, { container: id });
  // The container's end closes the streams; where no output is attached nothing else would.
  if (!config.AttachStdout && !config.AttachStderr) void exit.then(() => streams.stop.abort());
  if ((await streams.ended) === "detached") return undefined;
  return exit;
}

/** An error of the command line or of the engine, with the way to the help and the exit status that says whose it was. */
export function withHelp(error: unknown, name: "run" | "create", exitCode: number): CommandFailure {
  const message = error instanceof Error ? error.message : String(error);
  return new CommandFailure(`${PROGRAM}: ${message}\n\nRun '${PROGRAM} ${name} --help' for more information`, exitCode, { cause: error });
}

/** 127: the program is not there; 126: it cannot be executed; 125: anything else of the engine's. */
function startFailure(error: unknown): CommandFailure {
  const message = error instanceof Error ? error.message : String(error);
  const notFound = ["executable file not found", "no such file or directory", "system cannot find the file specified"].some((text) =>
    message.includes(text),
  );
  const notExecutable = ["permission denied", "is a directory"].some((text) => message.includes(text));
  return withHelp(error, "run", notFound ? 127 : notExecutable ? 126 : 125);
}
