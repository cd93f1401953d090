import { execFile } from "node:child_process";

import { EngineError, codeOf, messageOf } from "../../base/errors.ts";

/** `GET /containers/{id}/top` */
export interface TopTable {
  Titles: string[];
  Processes: string[][];
}

const DEFAULT_ARGUMENTS = "-ef";
const TIMEOUT_MS = 10_000;
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/** The processes `pids` as the host's `ps` shows them with `psArguments` (empty: `-ef`). The command goes through no shell. */
export async function topTable(pids: readonly number[], psArguments: string): Promise<TopTable> {
  checkPsArguments(psArguments);
  const args = (psArguments === "" ? DEFAULT_ARGUMENTS : psArguments).split(" ");
  let output: string;
  try {
    output = await runPs([...args, `-q${pids.join(",")}`]);
  } catch {
    // Some options, such as `f` and `-e` of old versions, do not go together with -q; then all processes are listed, and filtered below.
    output = await runPs(args);
  }
  return parsePsOutput(output, pids);
}

/** `-o foo=PID` would give a foreign column the title by which we find the process id (moby #24358). */
function checkPsArguments(psArguments: string): void {
  for (const [, column = "", title = ""] of psArguments.matchAll(/\s+([^\s]*)=\s*(PID[^\s]*)/g)) {
    if (column !== "pid") throw new EngineError("invalid", `specifying "${column}=${title}" is not allowed`);
  }
}

export function parsePsOutput(output: string, pids: readonly number[]): TopTable {
  const [header = "", ...lines] = output.split("\n");
  const titles = fieldsOf(header);
  const pidColumn = titles.indexOf("PID");
  if (pidColumn < 0) throw new EngineError("system", "Couldn't find PID field in ps output");
  const wanted = new Set(pids);
  const processes: string[][] = [];
  let inWanted = false;
  for (const line of lines) {
    const fields = fieldsOf(line);
    const pid = fields[pidColumn];
    if (pid === undefined) continue;
    // `ps m` gives each thread a row with "-" below its process.
    if (pid !== "-") {
      if (!/^\d+$/.test(pid)) throw new EngineError("system", `Unexpected pid '${pid}': not a number`);
      inWanted = wanted.has(Number(pid));
    }
    if (inWanted) processes.push(joinOverhang(fields, titles.length));
  }
  return { Titles: titles, Processes: processes };
}

/** ASCII blanks only: a command's name may hold others. */
function fieldsOf(line: string): string[] {
  return line.split(/[\t\n\f\r ]+/).filter((field) => field !== "");
}

/** The last column takes what is left, blanks between words become single ones. */
function joinOverhang(fields: string[], columns: number): string[] {
  return [...fields.slice(0, columns - 1), fields.slice(columns - 1).join(" ")];
}

function runPs(args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(
      "ps",
      args,
      { timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES, env: { PATH: process.env["PATH"], LC_ALL: "C" } },
      (error, stdout, stderr) => {
        if (error === null) return resolve(stdout);
        const why = codeOf(error) === "ENOENT" ? "executable file not found in $PATH: the package procps has it" : stderr.split("\n")[0];
        reject(new EngineError("system", `ps: ${why || messageOf(error)}`, { cause: error }));
      },
    );
  });
}
