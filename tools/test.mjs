/**
 * `npm test`: set-up, static checks, unit tests, e2e tests; the last line is the count. Where the host cannot run containers it says
 * what is missing and counts the e2e tests as skipped; with CI=true that is a failure.
 */
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import path from "node:path";

import { missingCapabilities } from "./capabilities.mjs";
import { check, runVitest } from "./check.mjs";
import { findNode, projectRoot } from "./node.mjs";
import { ensurePackages } from "./packages.mjs";
import { setUpProject } from "./setup.mjs";

const E2E = "vitest.e2e.config.ts";

async function test() {
  const say = (line) => console.log(`set-up: ${line}`);
  const missing = [];
  try {
    ensurePackages({ forTests: true, say });
  } catch (error) {
    missing.push(error.message);
  }
  await setUpProject(say);
  const total = await check();
  const add = ({ passed, failed, skipped }) => {
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
  };

  missing.push(...missingCapabilities(tmpdir()));
  if (missing.length === 0) {
    add(await runVitest(E2E, { stream: true }));
  } else {
    console.log(`e2e: this host cannot run containers. What is missing:\n  ${missing.join("\n  ")}`);
    const leftOut = countE2eTests();
    console.log(`e2e: ${leftOut} tests left out`);
    add({ passed: 0, failed: process.env["CI"] === "true" ? 1 : 0, skipped: leftOut });
    if (process.env["CI"] === "true") console.log("e2e: CI=true: that is a failure");
  }
  return total;
}

function countE2eTests() {
  const node = findNode();
  const listed = spawnSync(node, [path.join(projectRoot, "node_modules/vitest/vitest.mjs"), "list", "--config", E2E, "--json"], {
    cwd: projectRoot,
    encoding: "utf8",
  });
  try {
    return JSON.parse(listed.stdout).length;
  } catch {
    throw new Error(`the e2e tests could not be listed:\n${listed.stderr}${listed.stdout}`);
  }
}

let total;
try {
  total = await test();
} catch (error) {
  console.error(`npm test: ${error.message}`);
  total = { passed: 0, failed: 1, skipped: 0 };
}
console.log(`${total.passed} passed, ${total.failed} failed${total.skipped > 0 ? `, ${total.skipped} skipped` : ""}`);
process.exitCode = total.failed === 0 ? 0 : 1;
