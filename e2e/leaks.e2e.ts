import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

import { useDaemon } from "./harness.ts";

/** Many runs leave nothing: the harness looks for mounts, links, rules, cgroups, processes and files after each test. */

const daemon = useDaemon();

test("100 runs one after another", async () => {
  await runMany(20, 1);
  const before = memoryBytes();
  await runMany(100, 1);
  // Flat, with room for the collector's mood.
  expect(memoryBytes() - before).toBeLessThan(24 << 20);
});

test("50 runs at once", async () => {
  await runMany(50, 50);
});

test("50 at once with published ports, half of them removed by force while they run", async () => {
  const codes = await Promise.all(
    Array.from({ length: 50 }, async (_, index) => {
      const name = `p${index}`;
      const ran = await daemon().docker(
        "run",
        "-d",
        "--name",
        name,
        "-p",
        "127.0.0.1:0:80",
        "busybox",
        "sleep",
        index % 2 === 0 ? "0.2" : "1000",
      );
      const removed = await daemon().docker("rm", "-f", name);
      return [ran.code, removed.code];
    }),
  );
  expect(codes.flat().filter((code) => code !== 0)).toEqual([]);
});

async function runMany(count: number, atOnce: number): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      next += 1;
      const mine = String(next);
      expect(await daemon().docker("run", "--rm", "busybox", "echo", mine)).toEqual({ code: 0, stdout: `${mine}\n`, stderr: "" });
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
}

/** Private memory of the daemon. */
function memoryBytes(): number {
  const text = readFileSync(`/proc/${daemon().pid()}/smaps_rollup`, "utf8");
  return Number(/^Private_Dirty:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0) * 1024;
}
