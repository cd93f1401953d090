/**
 * `npm start`: from a fresh machine to a container that ran. All set-up, the daemon in the background, a container from the embedded
 * image, and what to try next. What follows `--` are tsubod's own flags.
 */
import { spawnSync } from "node:child_process";
import path from "node:path";

import { missingCapabilities } from "./capabilities.mjs";
import { ask, startDaemon, whereabouts } from "./daemon.mjs";
import { projectRoot } from "./node.mjs";
import { ensurePackages } from "./packages.mjs";
import { setUpProject } from "./setup.mjs";

/** Runs inside the container: what a container sees of the world. */
const POSTER = `
echo "  hostname    $(hostname)                     (the container's id)"
echo "  kernel      $(uname -sr)    (the host's own: this is no virtual machine)"
echo "  user        $(id -un), in a root file system of $(find / -xdev | wc -l) files"
echo "  address     $(ip -4 -o addr show eth0 | awk '{print $4}') behind $(ip route | awk '/default/{print $3}')"
echo "  limits      $(grep -h Seccomp: /proc/self/status | awk '{print ($2 == 2) ? "seccomp filter on" : "no seccomp filter"}'), capabilities $(awk '/CapEff/{print $2}' /proc/self/status)"
echo "  processes   all it can see:"
ps -o pid,user,comm | sed 's/^/              /'
`;

const tsubo = path.join(projectRoot, "bin/tsubo");

async function start(flags) {
  const place = whereabouts(flags);
  const say = (line) => console.log(`  · ${line}`);
  console.log("壺 Tsubo: set-up");
  ensurePackages({ forTests: false, say });
  await setUpProject(say);

  let answer = await ask(place.socket, "GET", "/_ping");
  if (answer === undefined) {
    const missing = missingCapabilities(place.dataRoot);
    if (missing.length > 0) throw new Error(`this host cannot run containers yet. What is missing:\n  ${missing.join("\n  ")}`);
    const pid = await startDaemon(place, flags);
    say(`tsubod started (pid ${pid}), log: ${place.logFile}`);
    answer = await ask(place.socket, "GET", "/_ping");
  } else {
    say("tsubod runs already");
  }
  say(`the API listens on ${place.host}`);

  await runPoster(place);
  printNext(place);
}

async function runPoster(place) {
  // The first use makes the embedded image; the second run is what running a container takes.
  const image = await ask(place.socket, "GET", "/images/busybox/json");
  if (image?.status !== 200) runTsubo(place, ["pull", "--quiet", "busybox"]);
  const { Size: sizeBytes } = JSON.parse((await ask(place.socket, "GET", "/images/busybox/json")).text);
  const command = ["run", "--rm", "busybox", "sh", "-c", POSTER];
  const startedMs = Date.now();
  const output = runTsubo(place, command);
  const tookMs = Date.now() - startedMs;
  console.log(`\n  ── tsubo run --rm busybox ${"─".repeat(44)}`);
  process.stdout.write(output);
  console.log(`  ${"─".repeat(70)}`);
  console.log(`  image busybox, ${(sizeBytes / 1e6).toFixed(1)} MB; made, started, read, ended and removed in ${tookMs} ms\n`);
}

function runTsubo(place, args) {
  const result = spawnSync(tsubo, args, { encoding: "utf8", env: { ...process.env, DOCKER_HOST: place.host, TSUBO_HOST: place.host } });
  if (result.status === 0) return result.stdout;
  const shown = args.map((word) => (word === POSTER ? "…" : word)).join(" ");
  throw new Error(`\`tsubo ${shown}\` failed (exit code ${result.status}): ${result.stderr.trim()}\nThe daemon's log: ${place.logFile}`);
}

function printNext(place) {
  const shown = path.relative(process.cwd(), tsubo) || tsubo;
  const prefix = place.host === "unix:///run/tsubo/tsubo.sock" ? "" : `export DOCKER_HOST=${place.host}\n  `;
  console.log(`Try next:
  ${prefix}${shown} run -it --rm busybox                                   a shell in a container
  ${shown} run -d --name web -p 8080:80 busybox httpd -f -h /etc      a server; then: curl localhost:8080/hostname
  ${shown} ps        ${shown} logs web        ${shown} exec -it web sh        ${shown} rm -f web
  ${shown} --help                                                   all commands
  DOCKER_HOST=${place.host} docker ps              the stock Docker CLI on the same daemon
  npm run stop                                                     stop it (npm run stop -- --all: containers too)
  npm test                                                         check everything`);
}

try {
  await start(process.argv.slice(2));
} catch (error) {
  console.error(`\nnpm start: ${error.message}`);
  process.exitCode = 1;
}
