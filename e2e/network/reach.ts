import type { TestHost } from "./host.ts";

/** Who reaches whom: who asks where, and the answer, `NAME CLIENT-ADDRESS` or `NO`. */
export type Cell = [who: string, protocol: "tcp" | "udp", address: string, port: number, answer: string];

export const NO = "no answer";

/** How many ask at a time: silence takes its time, but all at once would keep each other waiting on a small machine. */
const TOGETHER = 120;

/** The cells that come out otherwise than they should. */
export async function failures(cells: readonly Cell[], hostOf: (name: string) => TestHost): Promise<string[]> {
  const failed: string[] = [];
  for (let start = 0; start < cells.length; start += TOGETHER) {
    const results = await Promise.all(
      cells.slice(start, start + TOGETHER).map(async ([who, protocol, address, port, wanted]) => {
        const answer = await hostOf(who).ask(protocol, address, port);
        const got = /^[A-Z]+$/.test(answer) || answer === "" ? NO : answer;
        return got === wanted ? [] : [`${who} → ${protocol} ${address} ${port}: ${answer || "nothing"} instead of ${wanted}`];
      }),
    );
    failed.push(...results.flat());
  }
  return failed;
}
