/**
 * What an OCI runtime says when it fails, in the words Docker has from runc.
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

/** The words around the cause, as Docker 20.10 with containerd 1.6 prints them (`unknown` is a gRPC status that shines through). */
const BEFORE: Record<Attempt["action"], string> = {
  create: "failed to create shim task: OCI runtime create failed: runc create failed: ",
  exec: "OCI runtime exec failed: exec failed: ",
};
const PROCESS = "unable to start container process: ";
const AFTER = ": unknown";
/** dockerd's own guess, whatever it was that is not a directory. */
const NOT_A_DIRECTORY_HINT =
  ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type";

/** Docker's whole sentence for a failed `create` or `exec` of a runtime that said `text`. */
export function runtimeErrorMessage(text: string, attempt: Attempt): string {
  const cause = inRuncsWords(text, attempt);
  // runc got no further than making the first process.
  const where = attempt.action === "create" && cause.startsWith("unable to create new parent process") ? "" : PROCESS;
  return `${BEFORE[attempt.action]}${where}${cause}${AFTER}${cause.includes("not a directory") ? NOT_A_DIRECTORY_HINT : ""}`;
}

type Rewrite = (match: RegExpExecArray, attempt: Attempt) => string;

/** crun's texts, each with runc's. Seen side by side with crun 1.8.1 and runc 1.1.5. */
const TABLE: readonly [RegExp, Rewrite][] = [
  [/^executable file `(.*)` not found(?: in \$PATH)?(?:: No such file or directory)?$/s, ([, name]) => notFound(name)],
  // A name without a slash is looked for in $PATH, where runc passes over what cannot be run and crun does not.
  [/^open executable: (?:Permission denied|Operation not permitted)$/, (_match, { command }) => cannotRun(command)],
  [/^(?:open|stat) executable `(.*)`: (?:Permission denied|Operation not permitted)$/, ([, name]) => cannotRun(name)],
  [/^the path `(.*)` is not executable$/, ([, name]) => cannotRun(name)],
  [/^exec container process (?:\(missing dynamic library\?\) )?`(.*)`: (.*)$/, ([, name, why]) => `exec ${name}: ${lower(why)}`],
  [
    /^(?:chdir|mkdir)(?: to)? `(.*)`: (.*)$/,
    // On create runc makes the folder first, and that is where it fails.
    ([, folder, why], { action }) =>
      action === "create" ? `mkdir ${folder}: ${lower(why)}` : `chdir to cwd ("${folder}") set in config.json failed: ${lower(why)}`,
  ],
  [/^error stat'ing file `(.*)`: (.*)$/, ([, source, why]) => `error mounting "${source}" to rootfs: stat ${source}: ${lower(why)}`],
  [
    /^mount `(.*)` to `\/?(.*)`: (.*)$/,
    ([, source, target, why]) => `error mounting "${source}" to rootfs at "/${target}": mount ${source}:/${target}: ${lower(why)}`,
  ],
  [
    /^open `(\/.*\/netns\/.*|\/proc\/\d+\/ns\/.*)`: (.*)$/,
    ([, file, why]) => `unable to create new parent process: namespace path: lstat ${file}: ${lower(why)}`,
  ],
  [/^setrlimit `(.*)`: (.*)$/, ([, name, why]) => `error setting rlimits for ready process: error setting rlimit ${name}: ${lower(why)}`],
  [
    /^error executing hook `(.*)` \(exit code: (\d+)\)$/,
    ([, file, code]) => `error running hook: error running hook: exit status ${code}, program: ${file}`,
  ],
  [/^writing file `([a-z]+\..*)`: (.*)$/, ([, file, why]) => `unable to apply cgroup configuration: write ${file}: ${lower(why)}`],
  [/^(write|writing|read|open)(?: to| from| file)? `?(\/[^`]*?)`?: (.*)$/, ([, verb, file, why]) => `${verb} ${file}: ${lower(why)}`],
];

/** runc's own lead-ins, which the sentence brings along already. */
const LEAD_INS =
  /^(?:(?:runc|crun) (?:run|create|start) failed: |exec failed: |unable to start container process: |error during container init: |container_linux\.go:\d+: starting container process caused: )+/;

function inRuncsWords(text: string, attempt: Attempt): string {
  const cause = text.trim().replace(LEAD_INS, "");
  for (const [pattern, rewrite] of TABLE) {
    const match = pattern.exec(cause);
    if (match) return rewrite(match, attempt);
  }
  return cause === "" ? "the runtime gave no reason" : cause;
}

function notFound(name = ""): string {
  return name.includes("/")
    ? `exec: "${name}": stat ${name}: no such file or directory`
    : `exec: "${name}": executable file not found in $PATH`;
}

function cannotRun(name = ""): string {
  return name.includes("/") ? `exec: "${name}": permission denied` : notFound(name);
}

/** The kernel's error texts as Go writes them. */
function lower(text = ""): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
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
