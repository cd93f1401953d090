import { EngineError } from "../../base/errors.ts";
import type { Database } from "../../store/database.ts";

/** A volume as the database keeps it. */
export interface VolumeRecord {
  name: string;
  driver: string;
  created: string;
  labels: Record<string, string> | null;
  options: Record<string, string> | null;
  isAnonymous: boolean;
  /** Its removal is under way: it is gone for everybody but the next start, which finishes that. */
  removing?: boolean | undefined;
  /** What was copied is whole, and is being moved to its data: the name of the folder it is in. */
  filling?: string | undefined;
}

export function allVolumes(database: Database): VolumeRecord[] {
  // As one text: thousands are read at once.
  const row = database.sql.prepare("SELECT group_concat(record) AS records FROM (SELECT record FROM volumes ORDER BY name)").get();
  // Written by `saveVolume` alone.
  return JSON.parse(`[${String(row?.["records"] ?? "")}]`) as VolumeRecord[];
}

export function findVolume(database: Database, name: string): VolumeRecord | undefined {
  const [record] = records(database.sql.prepare("SELECT record FROM volumes WHERE name = ?").all(name));
  return record?.removing === true ? undefined : record;
}

/** In Docker's words where there is none. */
export function getVolume(database: Database, name: string): VolumeRecord {
  const record = findVolume(database, name);
  if (record === undefined) throw new EngineError("notFound", `get ${name}: no such volume`);
  return record;
}

export function saveVolume(database: Database, record: VolumeRecord): void {
  database.write((sql) =>
    sql
      .prepare("INSERT INTO volumes (name, record) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET record = excluded.record")
      .run(record.name, JSON.stringify(record)),
  );
}

export function deleteVolume(database: Database, name: string): void {
  database.write((sql) => sql.prepare("DELETE FROM volumes WHERE name = ?").run(name));
}

function records(rows: Record<string, unknown>[]): VolumeRecord[] {
  // Written by `saveVolume` alone.
  return rows.map((row) => JSON.parse(String(row["record"])) as VolumeRecord);
}
