/** The largest number that may be listed: more CPUs than any machine has. */
const NUMBER_LIMIT = 8192;

/** The numbers of a list as the kernel writes CPUs and memory nodes: `0-3,7`; undefined for what is no such list. */
export function parseNumberList(text: string): Set<number> | undefined {
  const numbers = new Set<number>();
  if (text === "") return numbers;
  for (const part of text.split(",")) {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    if (first === undefined || last === undefined) return undefined;
    const [from, to] = [Number(first), Number(last)];
    if (from > to || to >= NUMBER_LIMIT) return undefined;
    for (let number = from; number <= to; number += 1) numbers.add(number);
  }
  return numbers;
}
