import { defineConfig } from "vitest/config";

/** Unit tests: pure logic, no root, no kernel. `vitest.e2e.config.ts` has the others. */
export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "tools/*.test.ts"],
    testTimeout: 20_000,
  },
});
