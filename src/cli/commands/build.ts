import { existsSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Readable } from "node:stream";
import { parseArguments } from "../arguments.ts";
import type { Call, Command } from "../command.ts";
import { buildParameters, SECRETS_HEADER } from "../../api/build-request.ts";
import { codeOf, messageOf } from "../../base/errors.ts";
import { openContext, type BuildContext } from "../build/context.ts";
import { encodeSecrets } from "../build/secrets.ts";
import { followBuild, wantsView, type Followed } from "../build/follow.ts";
import { watchTransfer, type Transfer } from "../build/transfer.ts";
import { allRegistryAuths } from "../engine/credentials.ts";
import { proxyVariables } from "../engine/proxies.ts";
import { CommandFailure, DaemonError } from "../failure.ts";
import { buildFlags, buildQuery, ownFlags } from "../options/build-flags.ts";
import { cut } from "../options/values.ts";
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
    if (flags.boolean("push") && flags.list("tag").length === 0) throw new CommandFailure("tag is needed when pushing to registry");
    const idFile = flags.text("iidfile");
    if (idFile !== "") rmSync(idFile, { force: true });
    const id = await build(call, args[0] ?? "");
    if (idFile !== "") writeId(idFile, id);
    if (flags.boolean("push")) for (const tag of flags.list("tag")) await push(call, tag);
  },
};

/** Builds, and gives the image's id as far as the engine told it. */
async function build(call: Call, source: string): Promise<string> {
  const { client, flags } = call;
  const isQuiet = flags.boolean("quiet") || flags.text("progress") === "quiet";
  const [transfers, steps]: [string[], string[]] = [[], []];
  const showTransfer = isQuiet ? (text: string) => void transfers.push(text) : print;
  const context = await openContext(source, flags.text("file"), showTransfer);
  const isTsubo = await client.isTsubo();
  const live = wantsView(flags) && isTsubo;
  const transfer = watchTransfer("Sending build context to Docker daemon", showTransfer);
  const seen: Followed = { id: "", lastImage: "" };
  try {
    const body = await requestBuild(call, context, transfer, isTsubo && !isQuiet);
    if (!isQuiet) {
      await followBuild(body, seen, { live });
      return seen.id;
    }
    await showProgress(body, (text) => steps.push(text));
    print(steps.join(""));
    return steps.join("");
  } catch (error) {
    transfer.finish();
    // What went before a failure is told after all.
    if (isQuiet) writeAll(2, Buffer.from([...transfers, ...steps].join("")));
    if (!flags.boolean("shell-on-failure") || seen.lastImage === "") throw error;
    const { openShell } = await import("../build/shell.ts");
    return await openShell(call, seen.lastImage, error);
  }
}

/** Has our engine on this machine read the context where it lies, and sends it to any other. */
async function requestBuild({ client, config, flags }: Call, context: BuildContext, transfer: Transfer, tells: boolean): Promise<Readable> {
  const secrets = encodeSecrets(flags.list("secret"));
  const query = {
    ...buildQuery(flags, proxyVariables({ client, config }, flags.list("build-arg"))),
    dockerfile: context.dockerfile || undefined,
    remote: context.remote,
    [buildParameters.contexts]: namedContexts(flags.list("build-context")),
    [buildParameters.ssh]: sshAgents(flags.list("ssh"), client.host.address),
    [buildParameters.progress]: tells || undefined,
  };
  const headers = { "X-Registry-Config": allRegistryAuths(config), ...(secrets !== undefined && { [SECRETS_HEADER]: secrets }) };
  const { archive, inPlace } = context;
  if (inPlace !== undefined && "socketPath" in client.host.address && (await client.isTsubo())) {
    const { dev, ino } = statSync(inPlace.folder, { bigint: true });
    const folder = {
      [buildParameters.context]: inPlace.folder,
      [buildParameters.device]: String(dev),
      [buildParameters.inode]: String(ino),
      ...(inPlace.dockerfile && { dockerfile: inPlace.dockerfile.name }),
    };
    try {
      const stream = inPlace.dockerfile && Readable.from([inPlace.dockerfile.content]);
      return await client.request("POST", "/build", { query: { ...query, ...folder }, headers, ...(stream && { stream }) });
    } catch (error) {
      // It stands elsewhere and sees another folder there.
      if (!(error instanceof DaemonError && error.status === UNAVAILABLE)) throw error;
    }
  }
  const sent = archive && transfer.pass(flags.boolean("compress") ? compressed(archive) : archive);
  return client.request("POST", "/build", {
    query,
    headers: { ...headers, "Content-Type": "application/x-tar" },
    ...(sent && { stream: sent }),
  });
}

const UNAVAILABLE = 503;

async function push(call: Call, tag: string): Promise<void> {
  const { command: pushCommand } = await import("./push.ts");
  const { flags, positional } = parseArguments(pushCommand.flags, [`--quiet=${call.flags.boolean("quiet")}`, tag], true);
  await pushCommand.run({ ...call, flags, args: positional, path: "push" });
}

/** Folders are named from the root: the engine stands elsewhere. */
function namedContexts(given: readonly string[]): string | undefined {
  const contexts = given.map((each) => cut(each, "=")).map(([name, value = ""]) => [name, existsSync(value) ? path.resolve(value) : value]);
  return contexts.length === 0 ? undefined : JSON.stringify(Object.fromEntries(contexts));
}

/** `default`, `ID` (the agent of the environment), or `ID=SOCKET`: only an engine on this machine can reach one. */
function sshAgents(given: readonly string[], address: object): string | undefined {
  if (given.length === 0) return undefined;
  if (!("socketPath" in address)) throw new CommandFailure("--ssh: the engine is on another machine, where it cannot reach the agent");
  const agents = given
    .map((each) => cut(each, "="))
    .map(([id, socket = process.env["SSH_AUTH_SOCK"] ?? ""]): [string, string] => {
      if (socket === "") throw new CommandFailure(`--ssh ${id}: there is no agent (SSH_AUTH_SOCK is not set)`);
      if (statSync(socket, { throwIfNoEntry: false })?.isSocket() !== true)
        throw new CommandFailure(
          `--ssh ${id}: ${socket} is no socket of an agent (add the key to an agent by ssh-add, and name its socket)`,
        );
      return [id, path.resolve(socket)];
    });
  return JSON.stringify(Object.fromEntries(agents));
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
