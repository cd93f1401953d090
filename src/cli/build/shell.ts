import { messageOf } from "../../base/errors.ts";
import { parseArguments } from "../arguments.ts";
import type { Call } from "../command.ts";
import { segment } from "../engine/client.ts";
import { CommandFailure } from "../failure.ts";
import { isTerminal, warn } from "../output/print.ts";

/** `--shell-on-failure`: a shell where the failed step began, in the image of the step before it, with the build's arguments. Ends as the build did. */
export async function openShell(call: Call, image: string, failure: unknown): Promise<never> {
  const code = failure instanceof CommandFailure ? failure.exitCode : 1;
  warn(messageOf(failure));
  if (!isTerminal(0) || !isTerminal(1)) {
    warn(`There is no terminal for a shell. In one: tsubo run --rm -it ${image} sh`);
    throw new CommandFailure("", code);
  }
  const { Config } = await call.client.json<{ Config: { Shell?: string[] } | null }>("GET", `/images/${segment(image)}/json`);
  const shell = Config?.Shell?.[0] ?? "/bin/sh";
  warn(`A shell where the step began, in image ${image}; leave it to end the build:`);
  const variables = call.flags.list("build-arg").flatMap((arg) => ["-e", arg]);
  const { command } = await import("../commands/run.ts");
  const { flags, positional } = parseArguments(command.flags, ["--rm", "-it", "--entrypoint", shell, ...variables, image], false);
  await command.run({ ...call, flags, args: positional, path: "run" });
  throw new CommandFailure("", code);
}
