import { messageOf } from "../../base/errors.ts";
import { CommandFailure } from "../failure.ts";

/** So many are asked for side by side. */
const AT_ONCE = 50;

/**
 * Does one thing to several objects. `done` hears of each that went well, in the order given and as soon as its turn has come; what failed
 * is thrown at the end, all of it, once.
 */
export async function forEach<T>(
  names: readonly string[],
  act: (name: string) => Promise<T>,
  done: (name: string, result: T) => void,
): Promise<void> {
  const failures = new Set<string>();
  for (let at = 0; at < names.length; at += AT_ONCE) {
    const group = names.slice(at, at + AT_ONCE);
    // Each has its own handler at once: one that fails while another is awaited is no unhandled rejection.
    const outcomes = group.map(async (name) => {
      try {
        return { result: await act(name) };
      } catch (error) {
        return { failure: messageOf(error) };
      }
    });
    for (const [index, outcome] of outcomes.entries()) {
      const settled = await outcome;
      if (settled.failure === undefined) done(group[index] ?? "", settled.result);
      else failures.add(settled.failure);
    }
  }
  if (failures.size > 0) throw new CommandFailure([...failures].join("\n"));
}
