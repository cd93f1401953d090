import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";

/**
 * The rules of the house that can be read off the files: `docs/RULES.md` lists them in words. Each test also fails when it has seen
 * nothing, so that a rule cannot fall asleep.
 */

const root = path.resolve(import.meta.dirname, "..");
const LINES_AT_MOST = 500;

const tracked = listFiles();
const sources = tracked
  .filter((file) => /\.(ts|mjs)$/.test(file))
  .map((file) => ({ file, text: readFileSync(path.join(root, file), "utf8") }));
const inSrc = sources.filter(({ file }) => file.startsWith("src/"));
const layers = readLayers();

test("a folder imports only what the table in docs/ARCHITECTURE.md allows it", () => {
  const wrong: string[] = [];
  let seen = 0;
  for (const { file, text } of inSrc) {
    const from = layerOf(file);
    for (const target of importsOf(file, text)) {
      seen += 1;
      const to = layerOf(target);
      if (from === to || isAllowed(from, to, file)) continue;
      wrong.push(`${file} imports ${target}: ${from} may not import ${to}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(seen).toBeGreaterThan(50);
});

test("every folder of src/ is in the table, and every row of the table is a folder", () => {
  const folders = new Set(inSrc.map(({ file }) => layerOf(file)));
  expect([...layers.keys()].toSorted()).toEqual([...folders].filter((folder) => folder !== "engine").toSorted());
});

test(`no source file is longer than ${LINES_AT_MOST} lines`, () => {
  const long = sources.map(({ file, text }) => ({ file, lines: text.split("\n").length - 1 })).filter(({ lines }) => lines > LINES_AT_MOST);
  expect(long).toEqual([]);
  expect(sources.length).toBeGreaterThan(20);
});

test("koffi is imported by src/kernel/ffi.ts and nowhere else", () => {
  const users = inSrc.filter(({ text }) => /from "koffi"|import\("koffi"\)|require\("koffi"\)/.test(text)).map(({ file }) => file);
  expect(users).toEqual(["src/kernel/ffi.ts"]);
});

test("what runs in the keeper starts programs by posix_spawn only", () => {
  const entries = [
    "src/bin/tsubo-keeper.ts",
    ...inSrc.map(({ file }) => file).filter((file) => /^src\/keeper\/(?!.*\.test\.ts$)/.test(file)),
  ];
  const reached = new Set(entries.flatMap((file) => [...reachableFrom(file)]));
  const users = inSrc.filter(({ file, text }) => reached.has(file) && /["'](node:)?child_process["']/.test(text));
  expect(users.map(({ file }) => file)).toEqual([]);
  expect(reached.size).toBeGreaterThan(1);
});

test("the command line loads neither koffi nor the engine, nor what Node takes long to load", () => {
  const reached = reachableFrom("src/bin/tsubo.ts");
  expect([...reached].filter((file) => /^src\/(kernel|engine|keeper|store|http)\//.test(file))).toEqual([]);
  const slow = inSrc.filter(({ file, text }) => reached.has(file) && /from "node:(https?|child_process|tls)"/.test(text));
  expect(slow.map(({ file }) => file)).toEqual([]);
  expect(reached.size).toBeGreaterThan(1);
});

test("no drawers: no utils, lib, helpers or common folder, no types.ts, no index.ts", () => {
  const drawers = sources.filter(({ file }) =>
    /(^|\/)(utils?|libs?|helpers?|common|misc|shared)(\/|\.ts$)|(^|\/)(types|index|constants)\.ts$/.test(file),
  );
  expect(drawers.map(({ file }) => file)).toEqual([]);
});

test("a failpoint's name is area.operation.step and used in one place", () => {
  const places = new Map<string, string[]>();
  for (const { file, text } of inSrc) {
    if (file === "src/base/failpoint.ts" || file.endsWith(".test.ts")) continue;
    for (const [, name = ""] of text.matchAll(/\bfailpoint\(\s*["'`]([^"'`]*)["'`]/g))
      places.set(name, [...(places.get(name) ?? []), file]);
  }
  expect([...places].filter(([name, files]) => files.length > 1 || !/^[a-z][A-Za-z]*(\.[a-z][A-Za-z]*){2}$/.test(name))).toEqual([]);
});

test("tracked files name no folder of the machine they were written on, and no package mirror", () => {
  const home = process.env["HOME"] ?? "";
  const here = [root, path.dirname(root), home].filter((folder) => folder.split("/").length > 2);
  const mirror = /https?:\/\/[^\s"'`)]*\b(artifactory|nexus|verdaccio|npmmirror|pypi)\b/i;
  const texts = tracked.filter((file) => !file.endsWith("package-lock.json") && !/\.(png|ico|gz|tar|tar\.zst)$/.test(file));
  const wrong = texts.filter((file) => {
    const text = readFileSync(path.join(root, file), "utf8");
    return here.some((folder) => text.includes(`${folder}/`)) || mirror.test(text);
  });
  expect(wrong).toEqual([]);
  expect(texts.length).toBeGreaterThan(20);
});

test("documents link only to files that are there", () => {
  const documents = tracked.filter((file) => file.endsWith(".md"));
  const broken = documents.flatMap((file) => {
    const text = readFileSync(path.join(root, file), "utf8").replaceAll(/```[\s\S]*?```/g, "");
    const targets = [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map(([, target = ""]) => target);
    return targets
      .filter((target) => !/^[a-z]+:/.test(target) && !existsSync(path.join(root, path.dirname(file), target)))
      .map((target) => `${file} → ${target}`);
  });
  expect(broken).toEqual([]);
  expect(documents.length).toBeGreaterThan(2);
});

/** What git tracks or would track; without git, what is not generated. */
function listFiles(): string[] {
  let files: string[];
  try {
    const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: root, encoding: "utf8" });
    files = listed.split("\0");
  } catch {
    const isGenerated = (file: string): boolean => /(^|\/)(node_modules|dist|coverage|\.git)(\/|$)/.test(file);
    files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) => !isGenerated(file));
  }
  return files.filter((file) => file !== "" && statSync(path.join(root, file), { throwIfNoEntry: false })?.isFile());
}

/** `engine/images/pull.ts` belongs to `engine/images`, `kernel/ffi.ts` to `kernel`. */
function layerOf(file: string): string {
  const parts = file.split("/");
  return parts[1] === "engine" && parts.length > 3 ? `engine/${parts[2] ?? ""}` : (parts[1] ?? "");
}

function isAllowed(from: string, to: string, file: string): boolean {
  if (file.endsWith(".test.ts") && to === "testing") return true;
  const allowed = layers.get(from);
  return allowed !== undefined && (allowed.has(to) || allowed.has(to.split("/")[0] ?? to) || (allowed.has("*") && to !== "testing"));
}

/** Relative imports, static and dynamic, of types too. */
function importsOf(file: string, text: string): string[] {
  const found = [...text.matchAll(/(?:\bfrom|\bimport\(|^import)\s*["'](\.[^"']+)["']/gm)];
  return found.map(([, target = ""]) => path.normalize(path.join(path.dirname(file), target)));
}

function reachableFrom(entry: string): Set<string> {
  const texts = new Map(inSrc.map(({ file, text }) => [file, text]));
  const reached = new Set<string>();
  const waiting = texts.has(entry) ? [entry] : [];
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    if (reached.has(file)) continue;
    reached.add(file);
    waiting.push(...importsOf(file, texts.get(file) ?? ""));
  }
  return reached;
}

/** The rows of the table in ARCHITECTURE.md: folder → what it may import. `*` is everything but `testing`. */
function readLayers(): Map<string, Set<string>> {
  const text = readFileSync(path.join(root, "docs/ARCHITECTURE.md"), "utf8");
  const rows = [...text.matchAll(/^\|\s*`([a-z/]+)`\s*\|[^|]*\|([^|]*)\|\s*$/gm)].filter(([, folder]) => folder !== "src/");
  return new Map(
    rows.map(([, folder = "", allowed = ""]) => [folder, new Set([...allowed.matchAll(/`([a-z/*]+)`/g)].map(([, name = ""]) => name))]),
  );
}
