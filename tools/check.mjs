/**
 * All static checks and the unit tests, side by side as far as there are processors: `npm run check`. With names as arguments, only
 * those: `npm run check tsc lint`.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";

import { findNode, projectRoot } from "./node.mjs";

/** The longest first, so that the short ones fill the gaps. */
const STATIC_CHECKS = [
  { name: "lint", command: ["oxlint", "--type-aware"] },
  { name: "tsc", command: ["tsc", "-p", "."] },
  { name: "knip", command: ["knip", "--no-progress", "--exclude=binaries"] },
  { name: "format", command: ["oxfmt", "--check", "."] },
];

/** Runs the checks named (all when none is). Gives back how many passed, failed and were skipped; a static check counts as one. */
export async function check(names = [], say = console.log) {
  const total = { passed: 0, failed: 0, skipped: 0 };
  const jobs = [
    { name: "unit", run: () => runVitest("vitest.config.ts") },
    ...STATIC_CHECKS.map(({ name, command }) => ({ name, run: () => runTool(command) })),
  ].filter(({ name }) => names.length === 0 || names.includes(name));
  if (jobs.length === 0) throw new Error(`check: no such check: ${names.join(", ")}`);
  const worker = async () => {
    for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) {
      const startedMs = Date.now();
      const { passed, failed, skipped, output } = await job.run();
      total.passed += passed;
      total.failed += failed;
      total.skipped += skipped;
      const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
      if (failed > 0) say(output.trimEnd());
      say(`check: ${job.name.padEnd(7)} ${failed > 0 ? `FAILED (${failed})` : "ok"} ${passed > 1 ? `${passed} passed, ` : ""}${seconds} s`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), 3) }, worker));
  return total;
}

/** Runs vitest with one config file. `stream` shows its report as it comes. */
export async function runVitest(config, { stream = false } = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), "tsubo-vitest-"));
  const reportFile = path.join(folder, "report.json");
  try {
    const { code, output } = await runProgram(
      [
        "vitest",
        "run",
        "--config",
        config,
        "--passWithNoTests",
        "--reporter=default",
        "--reporter=json",
        `--outputFile.json=${reportFile}`,
      ],
      { stream },
    );
    return { ...countTests(reportFile, code), output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A file that fails outside of its tests counts as one failure, and so does a run that ends badly with no test that failed. */
function countTests(reportFile, code) {
  let report;
  try {
    report = JSON.parse(readFileSync(reportFile, "utf8"));
  } catch {
    return { passed: 0, failed: code === 0 ? 0 : 1, skipped: 0 };
  }
  const brokenFiles = report.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && !assertionResults.some((test) => test.status === "failed"),
  ).length;
  const failed = report.numFailedTests + brokenFiles;
  return {
    passed: report.numPassedTests,
    failed: code !== 0 && failed === 0 ? 1 : failed,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

async function runTool(command) {
  const { code, output } = await runProgram(command);
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0, output };
}

/** Runs a program of node_modules under Node 24. Gives back its exit code and what it wrote. */
function runProgram([name, ...args], { stream = false } = {}) {
  const node = findNode();
  if (node === undefined) throw new Error("check: no Node 24 here: run `npm test`, which brings it");
  const env = { ...process.env, PATH: `${path.dirname(node)}:${process.env["PATH"]}`, ...(stream ? {} : { NO_COLOR: "1" }) };
  return new Promise((resolve, reject) => {
    const child = spawn(path.join(projectRoot, "node_modules/.bin", name), args, {
      cwd: projectRoot,
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const collect = (chunk) => {
      if (stream) process.stdout.write(chunk);
      else output += chunk;
    };
    child.stdout.on("data", collect);
    child.stderr.on("data", collect);
    child.on("error", reject);
    child.on("close", (code) => resolve({ code: code ?? 1, output }));
  });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const { passed, failed, skipped } = await check(process.argv.slice(2));
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`);
  process.exitCode = failed === 0 ? 0 : 1;
}
