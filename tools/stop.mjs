/**
 * `npm run stop`: ends the daemon. Containers that run go on under the keeper unless they are to stop too: asked on a terminal, `--all`
 * says yes. Without containers the keeper ends as well.
 */
import { createInterface } from "node:readline/promises";

import { ask, daemonPid, keeperPid, waitForEnd, whereabouts } from "./daemon.mjs";

const END_TIMEOUT_MS = 30_000;

async function stop(args) {
  const all = args.includes("--all");
  const place = whereabouts(args.filter((flag) => flag !== "--all"));
  const answers = (await ask(place.socket, "GET", "/_ping")) !== undefined;
  let running = answers ? JSON.parse((await ask(place.socket, "GET", "/containers/json")).text) : [];
  if (running.length > 0) {
    console.log(`running: ${running.map(({ Names, Image }) => `${Names[0].slice(1)} (${Image})`).join(", ")}`);
    if (all || (await confirm("Stop them too? Otherwise they go on without the daemon. [y/N] "))) {
      await Promise.all(running.map(({ Id }) => ask(place.socket, "POST", `/containers/${Id}/stop`)));
      running = JSON.parse((await ask(place.socket, "GET", "/containers/json")).text);
    }
  }
  await end("the daemon", daemonPid(place));
  if (running.length === 0) await end("the keeper", keeperPid(place));
  else console.log(`${running.length} ${running.length === 1 ? "container goes" : "containers go"} on; \`npm start\` finds them again`);
}

async function end(what, pid) {
  if (pid === undefined) {
    console.log(`${what} does not run`);
    return;
  }
  process.kill(pid, "SIGTERM");
  if (!(await waitForEnd(pid, END_TIMEOUT_MS)))
    throw new Error(`${what} (pid ${pid}) did not end within ${END_TIMEOUT_MS / 1000} s of SIGTERM`);
  console.log(`${what} stopped`);
}

async function confirm(question) {
  if (!process.stdin.isTTY) return false;
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const answer = await terminal.question(question);
  terminal.close();
  return /^y(es)?$/i.test(answer.trim());
}

try {
  await stop(process.argv.slice(2));
} catch (error) {
  console.error(`npm run stop: ${error.message}`);
  process.exitCode = 1;
}
