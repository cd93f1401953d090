/** The daemon of `npm start` and `npm run stop`: where it is by the flags given, and how to talk to it. No dependencies. */
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { request } from "node:http";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

import { projectRoot } from "./node.mjs";

const START_TIMEOUT_MS = 30_000;
const ANSWER_TIMEOUT_MS = 60_000;

/** What tsubod's own flags (after `npm start --`) say about its whereabouts. */
export function whereabouts(flags) {
  const valueOf = (...names) => {
    for (const [index, flag] of flags.entries()) {
      for (const name of names) {
        if (flag === name) return flags[index + 1];
        if (flag.startsWith(`${name}=`)) return flag.slice(name.length + 1);
      }
    }
    return undefined;
  };
  const dataRoot = path.resolve(valueOf("--data-root") ?? "/var/lib/tsubo");
  const execRoot = path.resolve(valueOf("--exec-root") ?? "/run/tsubo");
  const host = valueOf("-H", "--host") ?? "unix:///run/tsubo/tsubo.sock";
  if (!host.startsWith("unix://"))
    throw new Error(`npm start talks to its daemon over a unix socket, not ${host}: start bin/tsubod itself`);
  return {
    dataRoot,
    execRoot,
    host,
    socket: host.slice("unix://".length),
    pidFile: valueOf("--pidfile", "-p") ?? path.join(execRoot, "tsubo.pid"),
    logFile: dataRoot === "/var/lib/tsubo" ? "/var/log/tsubod.log" : `${dataRoot}.log`,
  };
}

/** One request; `undefined` when nobody listens. */
export function ask(socketPath, method, apiPath) {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      { socketPath, method, path: apiPath, agent: false, headers: { host: "tsubo" }, signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS) },
      (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (chunk) => (text += chunk));
        response.on("error", reject);
        response.on("end", () => resolve({ status: response.statusCode, text }));
      },
    );
    outgoing.on("error", (error) => (["ENOENT", "ECONNREFUSED"].includes(error.code) ? resolve(undefined) : reject(error)));
    outgoing.end();
  });
}

/** Starts tsubod in the background and waits until it answers. */
export async function startDaemon(place, flags) {
  mkdirSync(path.dirname(place.logFile), { recursive: true });
  const log = openSync(place.logFile, "a");
  const child = spawn(path.join(projectRoot, "bin/tsubod"), [`--pidfile=${place.pidFile}`, ...flags], {
    detached: true,
    stdio: ["ignore", log, log],
    cwd: "/",
  });
  closeSync(log);
  let failure;
  child.on("error", (error) => (failure = error));
  for (const deadlineMs = Date.now() + START_TIMEOUT_MS; Date.now() < deadlineMs; await sleep(25)) {
    if (failure !== undefined || child.exitCode !== null || child.signalCode !== null) break;
    if ((await ask(place.socket, "GET", "/_ping"))?.status === 200) {
      child.unref();
      return child.pid;
    }
  }
  const why =
    failure?.message ?? (child.exitCode === null ? `no answer within ${START_TIMEOUT_MS / 1000} s` : `exit code ${child.exitCode}`);
  const tail = readFileSync(place.logFile, "utf8").trimEnd().split("\n").slice(-8).join("\n");
  throw new Error(`the daemon did not come up (${why}). The end of ${place.logFile}:\n${tail}`);
}

/** The daemon's pid by its pid file, when such a process is there. */
export function daemonPid(place) {
  try {
    const pid = Number(readFileSync(place.pidFile, "utf8"));
    return commandLineOf(pid).includes("tsubod") ? pid : undefined;
  } catch {
    return undefined;
  }
}

/** The pid of the keeper that serves this exec root. */
export function keeperPid(place) {
  const pid = readdirSync("/proc").find((name) => {
    const words = /^\d+$/.test(name) ? commandLineOf(name).split("\0") : [];
    return words.some((word) => /\btsubo-keeper(\.cjs)?$/.test(word)) && words.some((word) => word.split("=").at(-1) === place.execRoot);
  });
  return pid === undefined ? undefined : Number(pid);
}

/** True when the process ended within the time. */
export async function waitForEnd(pid, timeoutMs) {
  for (const deadlineMs = Date.now() + timeoutMs; Date.now() < deadlineMs; await sleep(25)) {
    if (commandLineOf(pid) === "") return true;
  }
  return false;
}

function commandLineOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
}
