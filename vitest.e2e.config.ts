import { defineConfig } from "vitest/config";

/** Tests on the real kernel, as root, against real daemons. One file after another: they look at the whole machine for what was left. */
export default defineConfig({
  test: {
    globalSetup: "./e2e/set-up.ts",
    include: ["e2e/**/*.e2e.ts", "conformance/*.conformance.ts"],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
  },
});
