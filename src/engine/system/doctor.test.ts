import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

import { type Database, openDatabase } from "../../store/database.ts";
import { ensureRoots, paths, type Roots } from "../../store/roots.ts";
import { type DoctorInputs, runDoctor } from "./doctor.ts";

const ID = "a".repeat(64);
let base: string;
let roots: Roots;
let database: Database;

beforeEach(async () => {
  base = mkdtempSync(path.join(tmpdir(), "tsubo-doctor-"));
  roots = { data: path.join(base, "data"), exec: path.join(base, "run") };
  await ensureRoots(roots);
  database = openDatabase(paths.database(roots));
});

afterEach(() => {
  database.close();
  rmSync(base, { recursive: true });
});

function inputs(changes: Partial<DoctorInputs> = {}): DoctorInputs {
  return {
    roots,
    database,
    cgroupParent: "/tsubo-no-such-group",
    containers: () => [],
    kept: () => Promise.resolve([]),
    networks: () => Promise.resolve({ expected: [], found: [] }),
    isBeingFilled: () => false,
    ...changes,
  };
}

async function problemsOf(changes: Partial<DoctorInputs> = {}): Promise<string[]> {
  const report = await runDoctor(inputs(changes));
  return report.problems.map(({ kind, what }) => `${kind} ${what}`);
}

test("an empty machine is healthy, and the report says what was looked at", async () => {
  const report = await runDoctor(inputs());
  expect(report.problems).toEqual([]);
  expect(report.checked.map(({ what }) => what)).toContain("mounts");
});

test("folders that nobody owns are found in both roots", async () => {
  mkdirSync(paths.container(roots, ID));
  mkdirSync(paths.bundle(roots, ID));
  mkdirSync(path.join(paths.runtime(roots), ID));
  writeFileSync(path.join(paths.netns(roots), ID), "");
  mkdirSync(path.join(paths.layers(roots), "abc"));
  const found = await problemsOf();
  expect(found.toSorted()).toEqual(
    [
      `file ${paths.container(roots, ID)}`,
      `file ${paths.bundle(roots, ID)}`,
      `file ${path.join(paths.runtime(roots), ID)}`,
      `file ${path.join(paths.netns(roots), ID)}`,
      `file ${path.join(paths.layers(roots), "abc")}`,
    ].toSorted(),
  );
});

test("a layer that is being filled has no row yet and is no problem", async () => {
  mkdirSync(path.join(paths.layers(roots), "abc"));
  expect(await problemsOf({ isBeingFilled: (folder) => folder === "abc" })).toEqual([]);
});

test("records without their files are found", async () => {
  database.write((sql) => {
    sql.exec("INSERT INTO layers (chain_id, parent, diff_id, folder, bytes) VALUES ('sha256:1', NULL, 'sha256:2', 'gone', 0)");
    sql.exec(`INSERT INTO images (id, record) VALUES ('sha256:${ID}', '{}')`);
  });
  const found = await problemsOf({ containers: () => [{ id: ID, pid: undefined, volumes: [], cgroupsPath: "" }] });
  expect(found).toEqual(["record container aaaaaaaaaaaa", "record layer sha256:1", "record image aaaaaaaaaaaa"]);
});

test("a container that runs by its record only is found", async () => {
  mkdirSync(paths.container(roots, ID));
  const report = await runDoctor(
    inputs({ containers: () => [{ id: ID, pid: 2 ** 22, volumes: [], cgroupsPath: `/tsubo-no-such-group/${ID}` }] }),
  );
  expect(report.problems.map(({ detail }) => detail)).toEqual([
    "container aaaaaaaaaaaa runs, but its root file system is not mounted",
    "runs by the record, but pid 4194304 is gone",
    "runs by the record, but the keeper does not hold it",
  ]);
});

test("a container that only the keeper knows is found", async () => {
  const report = await runDoctor(inputs({ kept: () => Promise.resolve([{ id: ID, pid: process.pid, isRunning: true }]) }));
  expect(report.problems.map(({ detail }) => detail)).toEqual([`the keeper runs it as pid ${process.pid}; by the record it does not run`]);
});

test("network objects that one side lacks are found", async () => {
  const networks = (): ReturnType<DoctorInputs["networks"]> =>
    Promise.resolve({ expected: [{ kind: "link", name: "v1" }], found: [{ kind: "lease", name: "10.0.0.2" }] });
  expect(await problemsOf({ networks })).toEqual(["lease 10.0.0.2", "link v1"]);
});

test("what is gone at the second look was only half made", async () => {
  let looks = 0;
  const kept = (): ReturnType<DoctorInputs["kept"]> => {
    looks += 1;
    return Promise.resolve(looks === 1 ? [{ id: ID, pid: process.pid, isRunning: true }] : []);
  };
  expect(await problemsOf({ kept })).toEqual([]);
  expect(looks).toBe(2);
});
