/**
 * Patterns without regular expressions: their backtracking makes some of them endless (`*a*a*a*a*b`), and patterns come from whoever sends a
 * Dockerfile. All ways to match are followed at once, so the time is the length of the text times that of the pattern.
 */

export type Token =
  /** One character. */
  | { kind: "one"; accepts: (character: string) => boolean }
  /** Any number of characters, also none. */
  | { kind: "many"; accepts: (character: string) => boolean }
  /** The `count` tokens that follow may be missing. */
  | { kind: "optional"; count: number };

export function literal(text: string): Token {
  return { kind: "one", accepts: (character) => character === text };
}

/** Bounds the work of one expansion, which may match a pattern many times. */
export class Budget {
  private left: number;

  constructor(steps: number) {
    this.left = steps;
  }

  spend(steps: number): void {
    this.left -= steps;
    if (this.left < 0) throw new RangeError("matching it takes too many steps");
  }
}

/** Where a match that begins at `begin` may end; `reached[s]` says that the first `s` tokens can match what was read so far. */
export class Automaton {
  private readonly tokens: readonly Token[];
  private readonly reached: Uint8Array;

  constructor(tokens: readonly Token[]) {
    this.tokens = tokens;
    this.reached = new Uint8Array(tokens.length + 1);
  }

  matches(text: readonly string[]): boolean {
    return this.run(text, 0, { longest: true }) === text.length;
  }

  /** Whether a text that begins so can match. */
  mayContinue(text: readonly string[]): boolean {
    this.run(text, 0, { longest: true });
    return this.reached.includes(1);
  }

  /** The end of the shortest or longest match; undefined when there is none. */
  run(text: readonly string[], begin: number, options: { longest: boolean; budget?: Budget }): number | undefined {
    this.reached.fill(0);
    this.reached[0] = 1;
    let found: number | undefined;
    for (let at = begin; ; at += 1) {
      options.budget?.spend(this.reached.length);
      this.follow();
      if (this.reached[this.tokens.length] === 1) {
        found = at;
        if (!options.longest) return found;
      }
      const character = text[at];
      if (character === undefined || !this.step(character)) return found;
    }
  }

  /** Adds what is reached without reading anything. */
  private follow(): void {
    const { reached, tokens } = this;
    for (let state = 0; state < tokens.length; state += 1) {
      if (reached[state] === 0) continue;
      const token = tokens[state];
      if (token?.kind === "many") reached[state + 1] = 1;
      if (token?.kind !== "optional") continue;
      reached[state + 1] = 1;
      reached[state + 1 + token.count] = 1;
    }
  }

  /** Reads one character, from the last token to the first, so that each looks at the state before. False when nothing is left. */
  private step(character: string): boolean {
    const { reached, tokens } = this;
    let isAlive = false;
    for (let state = tokens.length; state >= 0; state -= 1) {
      const here = tokens[state];
      const before = tokens[state - 1];
      const stays = reached[state] === 1 && here?.kind === "many" && here.accepts(character);
      const arrives = reached[state - 1] === 1 && before?.kind === "one" && before.accepts(character);
      reached[state] = stays || arrives ? 1 : 0;
      isAlive ||= stays || arrives;
    }
    return isAlive;
  }
}
