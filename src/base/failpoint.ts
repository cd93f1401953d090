/**
 * Failpoints: named places in multi-step operations where a test makes the process fail.
 *
 * Armed only by the environment variable TSUBO_FAILPOINTS, a comma-separated list of `name=action` with the actions `error` (throw),
 * `crash` (SIGKILL to ourselves) and `delay:MS`; `name=action@N` acts on the N-th pass only (from 1). Unarmed, a call costs one
 * property read.
 */

type Action = { what: string; onPass: number | undefined; passed: number };

const armed = parse(process.env["TSUBO_FAILPOINTS"]);

/** Passes the failpoint `name`; throws, crashes or waits when it is armed. Synchronous, so `delay` blocks the loop on purpose. */
export function failpoint(name: string): void {
  if (armed === undefined) return;
  const action = armed.get(name);
  if (action === undefined) return;
  action.passed += 1;
  if (action.onPass !== undefined && action.passed !== action.onPass) return;
  if (action.what === "error") throw new Error(`failpoint ${name}`);
  if (action.what === "crash") process.kill(process.pid, "SIGKILL");
  const delay = /^delay:(\d+)$/.exec(action.what);
  if (delay) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(delay[1]));
}

function parse(text: string | undefined): Map<string, Action> | undefined {
  if (text === undefined || text === "") return undefined;
  const actions = new Map<string, Action>();
  for (const item of text.split(",")) {
    const [name, action = "error"] = item.split("=");
    const [what = "error", pass] = action.split("@");
    if (name) actions.set(name, { what, onPass: pass === undefined ? undefined : Number(pass), passed: 0 });
  }
  return actions;
}
