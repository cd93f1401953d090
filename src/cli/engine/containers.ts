import { closeSync, existsSync, openSync, rmSync, writeSync } from "node:fs";
import type { Call } from "../command.ts";
import { codeOf, messageOf } from "../../base/errors.ts";
import { CommandFailure, isNotFound } from "../failure.ts";
import type { ContainerOptions } from "../options/container-options.ts";
import { formatPlatform, parsePlatform, platformFlag, type Platform } from "../options/platform.ts";
import { warn } from "../output/print.ts";
import { familiarString, parseReference, withDefaultTag } from "../reference.ts";
import { compareVersions, segment, type Client, type Query } from "./client.ts";
import { pullImage } from "./pull.ts";
import { terminalSize } from "./terminal.ts";

/** What `run`, `create`, `start` and `attach` share: making a container and waiting for one. */

export type CreateOptions = { readonly name: string; readonly platform: string; readonly pull: string; readonly quiet: boolean };

export function readCreateOptions({ flags }: Pick<Call, "flags">): CreateOptions {
  const pull = flags.text("pull");
  if (!["always", "missing", "never", ""].includes(pull)) {
    throw new Error(`invalid pull option: '${pull}': must be one of "always", "missing" or "never"`);
  }
  return { name: flags.text("name"), platform: platformFlag(flags), pull, quiet: flags.boolean("quiet") };
}

/** Makes a container, pulling its image first where that is asked for or needed. Gives its id. */
export async function createContainer(call: Call, container: ContainerOptions, options: CreateOptions): Promise<string> {
  const idFile = openIdFile(container.hostConfig.ContainerIDFile);
  try {
    const reference = withDefaultTagOrId(container.config.Image);
    const pull = (): Promise<void> =>
      pullImage(call, { image: container.config.Image, platform: options.platform, to: options.quiet ? undefined : 2 });
    if (options.pull === "always") await pull();
    let created;
    try {
      created = await create(call.client, container, options);
    } catch (error) {
      if (!isNotFound(error) || reference === undefined || options.pull !== "missing") throw error;
      if (!options.quiet) warn(`Unable to find image '${reference}' locally`);
      await pull();
      created = await create(call.client, container, options);
    }
    const loopback = container.hostConfig.Dns.find((address) => address.startsWith("127.") || address === "::1");
    const warnings = [
      ...(created.Warnings ?? []),
      ...(loopback === undefined ? [] : [`Localhost DNS (${loopback}) may fail in containers.`]),
    ];
    for (const warning of warnings) warn(`WARNING: ${warning}`);
    idFile.write(created.Id);
    return created.Id;
  } finally {
    idFile.close();
  }
}

function withDefaultTagOrId(image: string): string | undefined {
  if (/^[a-f0-9]{64}$/.test(image)) return undefined;
  return familiarString(withDefaultTag(parseReference(image)));
}

async function create(
  client: Client,
  container: ContainerOptions,
  { name, platform }: CreateOptions,
): Promise<{ Id: string; Warnings?: string[] | null }> {
  const version = await client.version();
  const before = (since: string): boolean => compareVersions(version, since) < 0;
  const { MacAddress: mac, ...config } = container.config;
  if (mac !== undefined && before("1.44"))
    throw new Error(`"specify mac-address per network" requires API version 1.44, but the Docker daemon API version is ${version}`);
  const wanted = platform === "" || before("1.41") ? undefined : readPlatform(platform);
  const [height, width] = platform === "" || !before("1.42") ? terminalSize() : [0, 0];
  const body = {
    ...config,
    HostConfig: { ...container.hostConfig, ConsoleSize: [height, width] },
    NetworkingConfig: container.networkingConfig,
  };
  return client.json("POST", "/containers/create", {
    query: { name: name || undefined, platform: wanted && formatPlatform(wanted) },
    body,
  });
}

function readPlatform(text: string): Platform {
  try {
    return parsePlatform(text);
  } catch (error) {
    throw new CommandFailure(`error parsing specified platform: ${messageOf(error)}`, 1, { cause: error });
  }
}

/** `--cidfile`: made before the container, so that a file that is there refuses the call; taken away again when nothing was made. */
function openIdFile(file: string): { write(id: string): void; close(): void } {
  if (file === "") return { write: () => undefined, close: () => undefined };
  if (existsSync(file)) throw new CommandFailure(`container ID file found, make sure the other container isn't running or delete ${file}`);
  let descriptor: number;
  try {
    descriptor = openSync(file, "w");
  } catch (error) {
    const reason = codeOf(error) === "ENOENT" ? "no such file or directory" : (codeOf(error) ?? "");
    throw new CommandFailure(`failed to create the container ID file: open ${file}: ${reason}`, 1, { cause: error });
  }
  let written = false;
  return {
    write: (id) => {
      writeSync(descriptor, id);
      written = true;
    },
    close: () => {
      closeSync(descriptor);
      if (!written) rmSync(file, { force: true });
    },
  };
}

/** The status of a wait that itself failed. */
const WAIT_FAILED = 125;

/** Starts waiting, which is under way once the outer promise is kept: only then may the container be started. */
export async function waitFor(
  client: Client,
  container: string,
  condition: "not-running" | "next-exit" | "removed",
): Promise<{ exit: Promise<number> }> {
  const body = await client.request("POST", containerPath(container, "wait"), { query: { condition } });
  const read = async (): Promise<number> => {
    let text = "";
    for await (const chunk of body) text += String(chunk);
    // The Engine API's answer to a wait.
    const result = JSON.parse(text) as { StatusCode: number; Error?: { Message?: string } | null };
    if (result.Error?.Message === undefined || result.Error.Message === "") return result.StatusCode;
    warn(`Error waiting for container: ${result.Error.Message}`);
    return WAIT_FAILED;
  };
  const exit = read().catch((error: unknown) => {
    warn(`error waiting for container: ${error instanceof Error ? error.message : String(error)}`);
    return WAIT_FAILED;
  });
  return { exit };
}

/** What we read of `GET /containers/{id}/json`. */
export type ContainerState = {
  readonly Id: string;
  readonly State: { readonly Running: boolean; readonly Paused: boolean; readonly Restarting: boolean };
  readonly Config: { readonly Tty: boolean; readonly OpenStdin: boolean };
  readonly HostConfig: { readonly AutoRemove: boolean };
  readonly NetworkSettings: { readonly Ports: Readonly<Record<string, readonly { HostIp: string; HostPort: string }[] | null>> | null };
};

export function inspectContainer(client: Client, name: string): Promise<ContainerState> {
  return client.json("GET", containerPath(name, "json"));
}

export async function removeContainer(client: Client, name: string, query: Query): Promise<void> {
  const trimmed = name.replace(/^\/+|\/+$/g, "");
  if (trimmed === "") throw new CommandFailure("container name cannot be empty");
  await client.text("DELETE", `/containers/${segment(trimmed)}`, { query });
}

/** The API's path for doing `what` to a container. */
export function containerPath(name: string, what: string): string {
  return `/containers/${segment(checkContainerName(name))}/${what}`;
}

export function checkContainerName(name: string): string {
  const trimmed = name.trim();
  if (trimmed === "") throw new CommandFailure("invalid container name or ID: value is empty");
  return trimmed;
}
