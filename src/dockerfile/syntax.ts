/**
 * The Dockerfile language as data.
 *
 * From text to instructions there are three steps, each a file: `lines.ts` joins physical lines into logical ones and takes heredoc bodies out;
 * `statement.ts` splits a logical line into keyword, flags and words; `instructions.ts` gives them their meaning. `parse.ts` runs them over a
 * whole file. Words stay unexpanded: what `$NAME` means is known only when a step is reached (`expand.ts`). Nothing here does I/O.
 *
 * Words: a _logical line_ is what is left of physical lines after continuations, comments and blank lines; a _statement_ is one that was split;
 * a _stage_ is a FROM and the instructions up to the next one; a _heredoc_ is a body of lines that a `<<NAME` word announced.
 */
/** The largest Dockerfile that is read: the worst of that size takes 0.2 s. */
export const MAX_DOCKERFILE_BYTES = 2 * 1024 * 1024;
/** The longest physical line, as in Docker. */
export const MAX_LINE_BYTES = 65_535;
export const MAX_INSTRUCTIONS = 10_000;
/** The largest body of one heredoc. */
export const MAX_HEREDOC_BYTES = 1024 * 1024;
/** Each may be a file of its own. */
export const MAX_HEREDOCS_A_LINE = 100;

/** Line from 1, column from 0 (in UTF-16 units). */
export interface Position {
  line: number;
  column: number;
}

/** From the first character up to, and without, the end. */
export interface Range {
  start: Position;
  end: Position;
}

export type EscapeCharacter = "\\" | "`";

export interface Directives {
  syntax?: string;
  escape: EscapeCharacter;
  check?: CheckDirective;
}

/** `# check=skip=RuleA,RuleB;error=true` */
export interface CheckDirective {
  skip: string[];
  skipAll: boolean;
  error: boolean;
  experimental: string[];
  experimentalAll: boolean;
}

export interface Dockerfile {
  /** The text as it was parsed, for `excerpt`. */
  source: string;
  directives: Directives;
  /** The ARGs before the first FROM. */
  globalArgs: ArgInstruction[];
  stages: Stage[];
  warnings: Warning[];
  /** The N of `Step 1/N`: global ARGs, FROMs and instructions of all stages. */
  instructionCount: number;
}

/** Something that parses and should not be written so. */
export interface Warning {
  message: string;
  range: Range;
}

export interface Stage {
  /** Lower case. */
  name: string | undefined;
  index: number;
  from: FromInstruction;
  instructions: Instruction[];
}

export interface Heredoc {
  name: string;
  /** Not expanded. As written; only as the source of a COPY or ADD it has lost the leading tabs of a `<<-`. */
  content: string;
  /** False when a part of the name was quoted. */
  expand: boolean;
  /** `<<-`: leading tabs go. */
  chomp: boolean;
}

interface InstructionBase {
  range: Range;
  /** What the classic builder prints after `Step 2/7 : `: the joined line, without heredoc bodies. */
  original: string;
  /** The keyword as written. */
  keyword: string;
  /** The comment lines right above, up to a blank line or an empty comment, without their `#`. */
  comments: string[];
}

/** An empty shell text, as of a bare `CMD`, is no argument of the shell at all. */
export type Command = { form: "shell"; text: string } | { form: "exec"; words: string[] };

export interface FromInstruction extends InstructionBase {
  kind: "from";
  image: string;
  platform: string | undefined;
  /** As written; `Stage.name` is the lower-cased one. */
  stageName: string | undefined;
  /** `AS` as written. */
  as: string | undefined;
}

/** `--mount` as text, since any value may hold variables: `parseMount` types it. */
export interface MountFlag {
  text: string;
  /** The stage or image of `from=`, which cannot hold variables. */
  from: string | undefined;
}

export interface RunInstruction extends InstructionBase {
  kind: "run";
  /** As written; `scriptOf` says what it is with its heredocs. */
  command: Command;
  heredocs: Heredoc[];
  mounts: MountFlag[];
  network: "default" | "none" | "host" | undefined;
  security: "sandbox" | "insecure" | undefined;
  devices: { name: string; required: boolean }[];
}

interface CopyBase extends InstructionBase {
  sources: string[];
  /** Sources that are written in the Dockerfile: the heredoc's name is the file's. */
  heredocs: Heredoc[];
  destination: string;
  chown: string | undefined;
  chmod: string | undefined;
  link: boolean;
  excludes: string[];
}

export interface CopyInstruction extends CopyBase {
  kind: "copy";
  from: string | undefined;
  parents: boolean;
}

export interface AddInstruction extends CopyBase {
  kind: "add";
  checksum: string | undefined;
  keepGitDir: boolean | undefined;
  unpack: boolean | undefined;
}

export interface Pair {
  name: string;
  value: string;
  /** `ENV name value`, without `=`. */
  legacy: boolean;
}

export interface EnvInstruction extends InstructionBase {
  kind: "env";
  pairs: Pair[];
}

export interface LabelInstruction extends InstructionBase {
  kind: "label";
  pairs: Pair[];
}

export interface ArgInstruction extends InstructionBase {
  kind: "arg";
  pairs: { name: string; value: string | undefined }[];
}

export interface WorkdirInstruction extends InstructionBase {
  kind: "workdir";
  path: string;
}

export interface UserInstruction extends InstructionBase {
  kind: "user";
  user: string;
}

export interface CmdInstruction extends InstructionBase {
  kind: "cmd";
  command: Command;
}

export interface EntrypointInstruction extends InstructionBase {
  kind: "entrypoint";
  /** Without words: none at all, also not that of the base image. */
  command: Command;
}

export interface ExposeInstruction extends InstructionBase {
  kind: "expose";
  /** Sorted, as Docker writes them; each may expand to several. */
  ports: string[];
}

export interface VolumeInstruction extends InstructionBase {
  kind: "volume";
  paths: string[];
}

export interface ShellInstruction extends InstructionBase {
  kind: "shell";
  words: string[];
}

export interface StopSignalInstruction extends InstructionBase {
  kind: "stopsignal";
  signal: string;
}

export interface MaintainerInstruction extends InstructionBase {
  kind: "maintainer";
  name: string;
}

export interface HealthcheckInstruction extends InstructionBase {
  kind: "healthcheck";
  /** As in the image's config: `["NONE"]`, `["CMD", …words]` or `["CMD-SHELL", text]`. */
  test: string[];
  intervalNs: number;
  timeoutNs: number;
  startPeriodNs: number;
  startIntervalNs: number;
  retries: number;
}

export interface OnbuildInstruction extends InstructionBase {
  kind: "onbuild";
  /** What the image's config keeps: the text after ONBUILD, with heredoc bodies. */
  trigger: string;
  /** The trigger as an instruction; undefined where it is none, which is an error only when it is triggered. */
  instruction: Instruction | undefined;
}

export type Instruction =
  | AddInstruction
  | ArgInstruction
  | CmdInstruction
  | CopyInstruction
  | EntrypointInstruction
  | EnvInstruction
  | ExposeInstruction
  | HealthcheckInstruction
  | LabelInstruction
  | MaintainerInstruction
  | OnbuildInstruction
  | RunInstruction
  | ShellInstruction
  | StopSignalInstruction
  | UserInstruction
  | VolumeInstruction
  | WorkdirInstruction;
