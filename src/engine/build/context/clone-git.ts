import { spawn } from "node:child_process";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import path from "node:path";

import { EngineError } from "../../../base/errors.ts";
import type { GitReference } from "./git-reference.ts";

/**
 * Brings one commit of a git repository into a folder, by the host's git, in a child. Nothing of the host's configuration counts, hooks do
 * not run, and only protocols that reach another machine are spoken.
 */
export interface CloneRequest extends GitReference {
  /** Made here. */
  target: string;
  keepGitDir: boolean;
  sshAgent: string | undefined;
}

const GIT_PATHS = ["/usr/bin/git", "/usr/local/bin/git", "/bin/git"];
const PROTOCOLS = ["http", "https", "git", "ssh"];
const MAX_COMPLAINT_CHARACTERS = 1000;
const COMMIT = /^[0-9a-f]{40}$|^[0-9a-f]{64}$/;

/** Answers the commit. */
export async function cloneGit(request: CloneRequest, signal: AbortSignal): Promise<string> {
  const { url, ref, target, checksum } = request;
  const git = GIT_PATHS.find((candidate) => existsSync(candidate));
  if (git === undefined) throw new EngineError("unavailable", `cloning ${shown(url)}: the program git is not installed on this machine`);
  mkdirSync(target, { mode: 0o700 });
  const run = (...args: string[]): Promise<string> => runGit(git, target, request, args, signal);
  await run("init", "--quiet");
  const wanted = ref === "" ? "HEAD" : ref;
  try {
    await run("fetch", "--quiet", "--depth=1", "--no-tags", "--", url, wanted);
  } catch (error) {
    // A server need not give out commits that no branch ends at, nor short ones.
    if (!/^[0-9a-f]{7,64}$/.test(wanted)) throw error;
    await run("fetch", "--quiet", "--tags", "--", url, "+refs/heads/*:refs/remotes/origin/*");
    await run("update-ref", "FETCH_HEAD", await run("rev-parse", "--verify", `${wanted}^{commit}`));
  }
  const commit = await run("rev-parse", "--verify", "FETCH_HEAD^{commit}");
  if (checksum !== undefined && !(COMMIT.test(checksum) ? commit === checksum : commit.startsWith(checksum)))
    throw new EngineError("invalid", `expected checksum to match ${checksum}, got ${commit}`);
  await run("checkout", "--quiet", "--force", "--detach", commit);
  if (existsSync(path.join(target, ".gitmodules"))) await run("submodule", "--quiet", "update", "--init", "--recursive", "--depth=1");
  if (!request.keepGitDir) rmSync(path.join(target, ".git"), { recursive: true, force: true });
  return commit;
}

function runGit(git: string, folder: string, { url, sshAgent }: CloneRequest, args: string[], signal: AbortSignal): Promise<string> {
  const allowed = PROTOCOLS.flatMap((protocol) => ["-c", `protocol.${protocol}.allow=always`]);
  const settings = [
    "-c",
    "protocol.allow=never",
    ...allowed,
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "advice.detachedHead=false",
  ];
  // What is checked out has the modes that it has for everybody; the copying that this process does sets its own.
  const umask = process.umask(0o022);
  const child = spawn(git, ["-C", folder, ...settings, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    signal,
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: "/nonexistent",
      GIT_TERMINAL_PROMPT: "0",
      GIT_CONFIG_NOSYSTEM: "1",
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_SSH_COMMAND: "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=/dev/null",
      ...(sshAgent === undefined ? {} : { SSH_AUTH_SOCK: sshAgent }),
    },
  });
  process.umask(umask);
  let [output, complaint] = ["", ""];
  child.stdout.on("data", (text: Buffer) => (output = (output + text.toString()).slice(0, MAX_COMPLAINT_CHARACTERS)));
  child.stderr.on("data", (text: Buffer) => (complaint = (complaint + text.toString()).slice(-MAX_COMPLAINT_CHARACTERS)));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve(output.trim());
      else reject(new EngineError("system", `failed to fetch ${shown(url)}: git ${args[0]}: ${complaint.trim() || `status ${code}`}`));
    });
  });
}

/** Without a password. */
function shown(url: string): string {
  return url.replace(/\/\/[^/@]*@/, "//");
}
