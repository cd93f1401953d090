import type { Database } from "./database.ts";

/**
 * Intents: a multi-step operation writes down what it is about to do before its first step and strikes it out after its last. What
 * start-up still finds was interrupted; the owner of its kind finishes or undoes it. Recording and striking out join the transaction
 * that is open, if there is one.
 */
export interface Intent {
  id: number;
  kind: string;
  payload: Record<string, unknown>;
}

export function recordIntent(database: Database, kind: string, payload: Record<string, unknown>): number {
  const result = database.sql.prepare("INSERT INTO intents (kind, payload) VALUES (?, ?)").run(kind, JSON.stringify(payload));
  return Number(result.lastInsertRowid);
}

export function strikeIntent(database: Database, id: number): void {
  database.sql.prepare("DELETE FROM intents WHERE id = ?").run(id);
}

/** The intents of one kind that an earlier daemon left, oldest first. */
export function leftIntents(database: Database, kind: string): Intent[] {
  const rows = database.sql.prepare("SELECT id, kind, payload FROM intents WHERE kind = ? ORDER BY id").all(kind);
  return rows.map((row) => ({ id: Number(row["id"]), kind: String(row["kind"]), payload: JSON.parse(String(row["payload"])) }));
}
