/**
 * Bundles the programs, `src/bin/NAME.ts` to `dist/NAME.cjs`, only when a source is newer. Plain JavaScript that runs on Node 20.
 *
 *     dist/node            the Node that runs all of it: the machine's own when it is 24 or newer, else tools/node24's
 *     dist/NAME.cjs        turns the compile cache on and loads the bundle: Node caches only what is loaded after that
 *     dist/NAME.main.cjs   the bundle, in CommonJS: ES modules that import node:http start 60 ms later
 *     dist/.cache          compiled code; a cache that cannot be written is no error
 *
 * koffi and node:* stay outside. `import("./x.ts")` of a source stays lazy inside the one file: esbuild wraps such a module, and what only
 * it imports, in a function that runs on the first import.
 */
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

import { findNode, projectRoot } from "./node.mjs";

const PROGRAMS = ["tsubo", "tsubod", "tsubo-keeper", "tsubo-unpack", "kernel-worker", "dns-worker"];
const dist = path.join(projectRoot, "dist");
const stampFile = path.join(dist, ".stamp");

/** Builds what is out of date. Gives back whether anything was. */
export async function build({ force = false } = {}) {
  mkdirSync(dist, { recursive: true });
  linkNode();
  const fingerprint = fingerprintOfSources();
  if (!force && read(stampFile) === fingerprint && PROGRAMS.every((name) => existsSync(path.join(dist, `${name}.main.cjs`)))) {
    return { rebuilt: false };
  }
  const { build: bundle } = await import("esbuild");
  const result = await bundle({
    entryPoints: Object.fromEntries(PROGRAMS.map((name) => [`${name}.main`, path.join(projectRoot, "src/bin", `${name}.ts`)])),
    outdir: dist,
    outExtension: { ".js": ".cjs" },
    absWorkingDir: projectRoot,
    bundle: true,
    write: false,
    platform: "node",
    format: "cjs",
    target: "node24",
    external: ["koffi"],
    sourcemap: "linked",
    sourcesContent: false,
    legalComments: "none",
    define: { "import.meta.url": "__url", "import.meta.dirname": "__dirname", "import.meta.filename": "__filename" },
    banner: { js: `"use strict"; const __url = require("node:url").pathToFileURL(__filename).href;` },
    logLevel: "warning",
  });
  for (const file of result.outputFiles) replaceFile(file.path, file.contents);
  for (const name of PROGRAMS) replaceFile(path.join(dist, `${name}.cjs`), loader(name));
  removeStale();
  replaceFile(stampFile, fingerprint);
  return { rebuilt: true };
}

/** A long-lived process flushes its cache once it is up, because it may end by SIGKILL. */
function loader(name) {
  return `"use strict";
const { enableCompileCache, flushCompileCache } = require("node:module");
enableCompileCache(__dirname + "/.cache");
require("./${name}.main.cjs");
if (require.main === module) setTimeout(flushCompileCache, 3000).unref();
`;
}

function linkNode() {
  const node = findNode();
  if (node === undefined) throw new Error("build: no Node 24 here: run `npm start` or `npm test`, which bring it");
  const link = path.join(dist, "node");
  try {
    if (readlinkSync(link) === node) return;
  } catch {
    // Not there yet.
  }
  const temporary = `${link}.${process.pid}`;
  symlinkSync(node, temporary);
  renameSync(temporary, link);
}

/** Names, sizes and times of all sources: a build is needed exactly when this changes. */
function fingerprintOfSources() {
  const hash = createHash("sha1");
  const add = (file) => {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${path.relative(projectRoot, file)} ${size} ${mtimeMs}\n`);
  };
  for (const file of ["package-lock.json", "tools/build.mjs"]) add(path.join(projectRoot, file));
  for (const entry of readdirSync(path.join(projectRoot, "src"), { withFileTypes: true, recursive: true })) {
    if (entry.isFile() && !entry.name.endsWith(".test.ts")) add(path.join(entry.parentPath ?? entry.path, entry.name));
  }
  return hash.digest("hex");
}

/** By rename: a process that starts meanwhile reads the old file or the new one. */
function replaceFile(file, content) {
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, content);
  renameSync(temporary, file);
}

function removeStale() {
  for (const name of readdirSync(dist)) {
    const bundle = /^(.+?)(\.main)?\.cjs(\.map)?$/.exec(name)?.[1];
    if (bundle !== undefined && !PROGRAMS.includes(bundle)) rmSync(path.join(dist, name));
  }
}

function read(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { rebuilt } = await build({ force: process.argv.includes("--force") });
  console.log(rebuilt ? `build: ${PROGRAMS.join(", ")}` : "build: up to date");
}
