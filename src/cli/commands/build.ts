import { rmSync, writeFileSync } from "node:fs";
import { Readable } from "node:stream";
import type { Call, Command } from "../command.ts";
import { buildParameters, SECRETS_HEADER } from "../../api/build-request.ts";
import { codeOf, messageOf } from "../../base/errors.ts";
import { openContext } from "../build/context.ts";
import { encodeSecrets } from "../build/secrets.ts";
import { followBuild, wantsView } from "../build/follow.ts";
import { watchTransfer } from "../build/transfer.ts";
import { allRegistryAuths } from "../engine/credentials.ts";
import { proxyVariables } from "../engine/proxies.ts";
import { CommandFailure } from "../failure.ts";
import { buildFlags, buildQuery, ownFlags } from "../options/build-flags.ts";
import { print, writeAll } from "../output/print.ts";
import { showProgress } from "../output/progress.ts";

export const command: Command = {
  usage: "[OPTIONS] PATH | URL | -",
  arguments: { min: 1, max: 1 },
  flags: buildFlags,
  about: "PATH is a folder, all of which is sent but for what its .dockerignore names; - is a Dockerfile or an archive on standard input.",
  examples: [
    ["build -t app:1 .", "from the folder we are in"],
    ["build -t app:debug --build-arg MODE=debug --target test .", "another stage, with a value for its ARG"],
    ["build --secret id=token,src=token.txt .", "for RUN --mount=type=secret,id=token"],
  ],
  async run(call) {
    const { client, flags, args } = call;
    const own = ownFlags(flags);
    if (own.length > 0 && !(await client.isTsubo()))
      throw new CommandFailure(`${own.join(", ")}: only Tsubo's engine understands that, and the one at ${client.host.url} is another`);
    const idFile = flags.text("iidfile");
    if (idFile !== "") rmSync(idFile, { force: true });
    const id = await build(call, args[0] ?? "");
    if (idFile !== "") writeId(idFile, id);
  },
};

/** Builds, and gives the image's id as far as the engine told it. */
async function build({ client, config, flags }: Call, source: string): Promise<string> {
  const isQuiet = flags.boolean("quiet") || flags.text("progress") === "quiet";
  const [transfers, steps]: [string[], string[]] = [[], []];
  const showTransfer = isQuiet ? (text: string) => void transfers.push(text) : print;
  const context = await openContext(source, flags.text("file"), showTransfer);
  const secrets = encodeSecrets(flags.list("secret"));
  const archive = context.archive && (flags.boolean("compress") ? compressed(context.archive) : context.archive);
  const live = wantsView(flags) && (await client.isTsubo());
  const transfer = watchTransfer("Sending build context to Docker daemon", showTransfer);
  try {
    const body = await client.request("POST", "/build", {
      query: {
        ...buildQuery(flags, proxyVariables({ client, config }, flags.list("build-arg"))),
        dockerfile: context.dockerfile || undefined,
        remote: context.remote,
        [buildParameters.progress]: live || undefined,
      },
      headers: {
        "Content-Type": "application/x-tar",
        "X-Registry-Config": allRegistryAuths(config),
        ...(secrets !== undefined && { [SECRETS_HEADER]: secrets }),
      },
      ...(archive && { stream: transfer.pass(archive) }),
    });
    if (!isQuiet) return await followBuild(body, { live });
    await showProgress(body, (text) => steps.push(text));
    print(steps.join(""));
    return steps.join("");
  } catch (error) {
    if (archive !== undefined) transfer.finish();
    // What went before a failure is told after all.
    if (isQuiet) writeAll(2, Buffer.from([...transfers, ...steps].join("")));
    throw error;
  }
}

function compressed(archive: AsyncIterable<string | Uint8Array> | Iterable<Uint8Array>): AsyncIterable<Uint8Array> {
  return Readable.from(archive).pipe(process.getBuiltinModule("node:zlib").createGzip());
}

function writeId(file: string, id: string): void {
  if (id === "") throw new CommandFailure(`Server did not provide an image ID. Cannot write ${file}`);
  try {
    writeFileSync(file, id);
  } catch (error) {
    const why = codeOf(error) === "ENOENT" ? "no such file or directory" : messageOf(error);
    throw new CommandFailure(`open ${file}: ${why}`, 1, { cause: error });
  }
}
