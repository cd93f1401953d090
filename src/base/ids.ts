import { randomBytes } from "node:crypto";

/** A new object id as Docker makes them: 64 hex digits, never all decimal in the short form (it would read as a number). */
export function newId(): string {
  for (;;) {
    const id = randomBytes(32).toString("hex");
    if (!/^\d{12}/.test(id)) return id;
  }
}

/** The 12 digits that people see. */
export function shortId(id: string): string {
  return id.replace(/^sha256:/, "").slice(0, 12);
}
