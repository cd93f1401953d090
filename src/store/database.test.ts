import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";

import { openDatabase } from "./database.ts";

test("the WAL does not grow for as long as the daemon runs, and nothing is lost by that", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "tsubo-database-"));
  const file = path.join(folder, "state.db");
  const walBytes = (): number => statSync(`${file}-wal`).size;
  try {
    const database = openDatabase(file);
    database.sql.exec("CREATE TABLE numbers (number INTEGER PRIMARY KEY, text TEXT)");
    for (let number = 0; number < 2000; number += 1) {
      database.write((sql) => sql.prepare("INSERT INTO numbers VALUES (?, ?)").run(number, "x".repeat(1000)));
    }
    await database.durable();
    expect(walBytes()).toBeGreaterThan(4_000_000);
    await expect.poll(walBytes, { timeout: 15_000 }).toBeLessThan(100_000);
    database.write((sql) => sql.prepare("INSERT INTO numbers VALUES (?, ?)").run(2000, ""));
    await database.durable();
    database.close();

    const again = openDatabase(file);
    expect(again.sql.prepare("SELECT count(*) AS count, sum(number) AS sum FROM numbers").get()).toEqual({ count: 2001, sum: 2_001_000 });
    again.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
