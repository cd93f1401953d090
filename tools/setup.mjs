/**
 * Brings the project to where it runs: Node 24, npm packages, bundles. Each step does nothing when its result is there. Plain JavaScript that runs on Node 20 with nothing installed.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, lstatSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import { build } from "./build.mjs";
import { findNode, NODE_MAJOR, projectRoot } from "./node.mjs";

/** Everything but system packages, which need root (`packages.mjs`). `say` gets a line for each step that does something. */
export async function setUpProject(say) {
  if (findNode() === undefined) {
    say(`npm ci: Node ${NODE_MAJOR} into tools/node24 (this is ${process.version})`);
    npmCi(path.join(projectRoot, "tools/node24"));
    if (findNode() === undefined) {
      throw new Error(
        `there is no Node ${NODE_MAJOR} for ${process.platform}-${process.arch} on npm: install it by hand and run this again`,
      );
    }
  }
  if (!hasNpmPackages()) {
    say("npm ci: the project's packages");
    npmCi(projectRoot);
    writeFileSync(stampFile, wantedStamp());
  }
  const { rebuilt } = await build();
  if (rebuilt) say("build: the bundles in dist/");
}

const stampFile = path.join(projectRoot, "node_modules/.tsubo-stamp");

function hasNpmPackages() {
  const folder = path.join(projectRoot, "node_modules");
  // A link is a second work tree that shares another's packages.
  if (lstatSync(folder, { throwIfNoEntry: false })?.isSymbolicLink()) return true;
  return existsSync(stampFile) && readFileSync(stampFile, "utf8") === wantedStamp();
}

/** Packages bring programs for one platform, so that counts too. */
function wantedStamp() {
  const lockfile = createHash("sha256")
    .update(readFileSync(path.join(projectRoot, "package-lock.json")))
    .digest("hex");
  return `${lockfile} ${process.platform}-${process.arch}\n`;
}

function npmCi(folder) {
  // Under `npm start` this is npm's own script, whatever PATH says.
  const script = process.env["npm_execpath"];
  const npm = script?.endsWith(".js") ? [process.execPath, script] : ["npm"];
  const { status, error } = spawnSync(
    npm[0],
    [...npm.slice(1), "ci", "--include=dev", "--include=optional", "--no-audit", "--no-fund", "--loglevel=error"],
    {
      cwd: folder,
      stdio: ["ignore", "inherit", "inherit"],
    },
  );
  if (status === 0) return;
  throw new Error(`npm ci in ${folder} failed${error ? `: ${error.message}` : ""}: see its messages above, then run this again`);
}
