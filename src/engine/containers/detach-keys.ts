import { EngineError } from "../../base/errors.ts";

/**
 * The keys that take a client off a container without ending either. Words and rules are those of moby/term (ascii.go, proxy.go).
 */

/** ctrl-p, ctrl-q */
export const DEFAULT_DETACH_KEYS: Uint8Array = Uint8Array.of(0x10, 0x11);

/** The characters that ctrl makes of these are their places in this row. */
const CONTROL = String.raw`@abcdefghijklmnopqrstuvwxyz[\]^_`;
const DELETE = 127;

/** `ctrl-p,ctrl-q`, `a,ctrl-x,@`, `DEL`; undefined or empty: the default. */
export function parseDetachKeys(text: string | undefined): Uint8Array {
  if (text === undefined || text === "") return DEFAULT_DETACH_KEYS;
  return Uint8Array.from(text.split(","), (key) => {
    if (key.length === 1 && key.charCodeAt(0) < 0x80) return key.charCodeAt(0);
    if (key === "DEL") return DELETE;
    const code = /^ctrl-.$/.test(key) ? CONTROL.indexOf(key.charAt(5)) : -1;
    if (code < 0) throw new EngineError("invalid", `Invalid detach keys (${text}) provided`);
    return code;
  });
}

/**
 * Looks for the keys in what a client types. The beginning of the sequence is held back until it is known whether the rest follows; what
 * turns out to be none goes on unchanged. As in Docker, the key that breaks a sequence does not begin a new one.
 */
export class DetachFilter {
  readonly #keys: Uint8Array;
  #matched = 0;

  constructor(keys: Uint8Array) {
    this.#keys = keys;
  }

  /** What goes on to the container, and whether the sequence is complete; what follows it is dropped. */
  push(chunk: Uint8Array): { passed: Uint8Array; detached: boolean } {
    if (this.#matched === 0 && !chunk.includes(this.#keys[0] ?? 0)) return { passed: chunk, detached: false };
    const held = this.#matched;
    // The held keys first: should they turn out to be input, they stand where they were typed.
    const bytes = Buffer.concat([this.#keys.subarray(0, held), chunk]);
    for (let at = held; at < bytes.length; at += 1) {
      this.#matched = bytes[at] === this.#keys[this.#matched] ? this.#matched + 1 : 0;
      if (this.#matched === this.#keys.length) return { passed: bytes.subarray(0, at + 1 - this.#matched), detached: true };
    }
    return { passed: bytes.subarray(0, bytes.length - this.#matched), detached: false };
  }

  /** The input has ended: what was held back was input after all. */
  end(): Uint8Array {
    const held = this.#keys.subarray(0, this.#matched);
    this.#matched = 0;
    return held;
  }
}
