/**
 * What an OCI runtime says when it fails, in the words Docker 28 has from runc.
 *
 * The docker CLI takes its exit status (125, 126, 127) from these words, people search the web for them, and tools match them; so every
 * runtime's text is turned into runc's, and into Docker's whole sentence around it, here and nowhere else. Callers add nothing to it.
 */

/** What was to be run, for texts that do not name it. */
export interface Attempt {
  action: "create" | "exec";
  /** The program as the user wrote it. */
  command: string;
}

/** The words around the cause, as Docker 28 with containerd 1.7 prints them (`unknown` is a gRPC status that shines through). */
const FRAMES: Record<Attempt["action"], string> = {
  create:
    "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: " +
    "unable to start container process: error during container init: ",
  exec: "OCI runtime exec failed: exec failed: unable to start container process: ",
};
const AFTER = ": unknown";

/** Docker's whole sentence for a failed `create` or `exec` of a runtime that said `text`. */
export function runtimeErrorMessage(text: string, attempt: Attempt): string {
  return `${FRAMES[attempt.action]}${inRuncsWords(text, attempt.command)}${AFTER}`;
}

type Rewrite = (match: RegExpExecArray, command: string) => string;

/** crun's texts, each with runc's. Seen with crun 1.8.1 and 1.21 against runc 1.1.5. */
const TABLE: readonly [RegExp, Rewrite][] = [
  [/^executable file `(.*)` not found(?: in \$PATH)?(?:: No such file or directory)?$/s, (match) => notFound(match[1] ?? "")],
  // A name without a slash is looked for in $PATH, where runc passes over what cannot be run and crun does not.
  [/^open executable: Permission denied$/, (_match, command) => (command.includes("/") ? cannotRun(command) : notFound(command))],
  [/^open executable: Operation not permitted$/, (_match, command) => (command.includes("/") ? cannotRun(command) : notFound(command))],
  [/^(?:open|stat) executable `?(.*?)`?: Permission denied$/, (match, command) => cannotRun(match[1] || command)],
  [/^the path `(.*)` is not executable$/, (match) => cannotRun(match[1] ?? "")],
  [/^exec container process (?:\(missing dynamic library\?\) )?`(.*)`: (.*)$/, (match) => `exec ${match[1]}: ${lower(match[2])}`],
  [/^chdir(?: to)? `(.*)`: (.*)$/, (match) => `chdir to cwd ("${match[1]}") set in config.json failed: ${lower(match[2])}`],
  [/^mkdir `(.*)`: (.*)$/, (match) => `mkdir ${match[1]}: ${lower(match[2])}`],
  [/^error stat'ing file `(.*)`: (.*)$/, (match) => `error mounting "${match[1]}" to rootfs: stat ${match[1]}: ${lower(match[2])}`],
  [
    /^mount `(.*)` to `(.*)`: (.*)$/,
    (match) => `error mounting "${match[1]}" to rootfs at "${match[2]}": mount ${match[1]}: ${lower(match[3])}`,
  ],
  [/^open `(\/.*\/netns\/.*|\/proc\/\d+\/ns\/.*)`: (.*)$/, (match) => `namespace path: lstat ${match[1]}: ${lower(match[2])}`],
  [/^(write|read|open)(?: to| from)? `(.*)`: (.*)$/, (match) => `${match[1]} ${match[2]}: ${lower(match[3])}`],
];

/** runc's own lead-ins, which the frame brings along already. */
const LEAD_INS =
  /^(?:(?:runc|crun) (?:run|create|start) failed: |exec failed: |unable to start container process: |error during container init: |container_linux\.go:\d+: starting container process caused: )+/;

function inRuncsWords(text: string, command: string): string {
  const cause = text.trim().replace(LEAD_INS, "");
  for (const [pattern, rewrite] of TABLE) {
    const match = pattern.exec(cause);
    if (match) return rewrite(match, command);
  }
  return cause === "" ? "the runtime gave no reason" : cause;
}

function notFound(name: string): string {
  return name.includes("/")
    ? `exec: "${name}": stat ${name}: no such file or directory`
    : `exec: "${name}": executable file not found in $PATH`;
}

function cannotRun(name: string): string {
  return `exec: "${name}": permission denied`;
}

/** The kernel's error texts as Go writes them. */
function lower(text: string | undefined): string {
  return text === undefined || text === "" ? "" : text.charAt(0).toLowerCase() + text.slice(1);
}

/**
 * The last error in a runtime's log: crun writes plain text, runc (logrus) a JSON object a line, and both may have written warnings before.
 */
export function lastErrorIn(log: string): string | undefined {
  const lines = log.split("\n").filter((line) => line.trim() !== "");
  let plain: string[] = [];
  let last: string | undefined;
  for (const line of lines) {
    const entry = parseEntry(line);
    if (entry === undefined) plain.push(line);
    else if (entry.level === "error" || entry.level === "fatal") [last, plain] = [entry.message, []];
  }
  return plain.length > 0 ? plain.join("\n") : last;
}

function parseEntry(line: string): { level: string; message: string } | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    const entry: unknown = JSON.parse(line);
    if (typeof entry !== "object" || entry === null || !("level" in entry) || !("msg" in entry)) return undefined;
    return { level: String(entry.level), message: String(entry.msg) };
  } catch {
    return undefined;
  }
}
