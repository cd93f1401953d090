/** "Did you mean": the known word that is at most two letters away. */

const FARTHEST = 2;

/** ` (did you mean X?)` in the case of `word`, or nothing. */
export function suggestion(word: string, known: Iterable<string>, options: { ignoreCase?: boolean } = {}): string {
  const best = nearest(options.ignoreCase === true ? word.toLowerCase() : word, known);
  if (best === undefined) return "";
  return ` (did you mean ${options.ignoreCase === true && word === word.toUpperCase() ? best.toUpperCase() : best}?)`;
}

/** Undefined also where the word itself is known: it is wrong for another reason then. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = FARTHEST + 0.75;
  for (const candidate of known) {
    if (candidate === word) return undefined;
    // Of two that are equally far, the one with the same first letter.
    const distance = distanceOf(word, candidate) + (candidate[0] === word[0] ? 0 : 0.5);
    if (distance >= bestDistance) continue;
    best = candidate;
    bestDistance = distance;
  }
  return best;
}

/** Levenshtein's distance, or more than `FARTHEST` where that is clear from the lengths. */
function distanceOf(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > FARTHEST) return FARTHEST + 1;
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
