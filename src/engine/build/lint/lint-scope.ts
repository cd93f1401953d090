/**
 * The rules that need to know what variables mean: the file is gone through as a build would, with the variables that ARG and ENV set, and without
 * running anything.
 */
import { Budget } from "../../../base/automaton.ts";
import { IgnoreMatcher } from "../../../base/ignore-file.ts";
import { parsePlatform } from "../../images/platform.ts";
import { expand, expandWords } from "../../../dockerfile/expand.ts";
import type { Expansion } from "../../../dockerfile/expander.ts";
import type { LintOptions, Report } from "./lint.ts";
import { globalArgValues, ignoreInvalid, lintDefaultImages } from "./lint-globals.ts";
import { parseMount } from "../../../dockerfile/mount.ts";
import { parseExposed } from "../../../dockerfile/ports.ts";
import { nearest } from "../../../dockerfile/suggest.ts";
import type { AddInstruction, ArgInstruction, CopyInstruction, Dockerfile, Instruction, Stage } from "../../../dockerfile/syntax.ts";

export function lintScopes(file: Dockerfile, options: LintOptions, report: Report): void {
  const predefined = options.predefined ?? new Map<string, string>();
  const given = options.buildArgs ?? new Map<string, string>();
  let globals: Map<string, string>;
  try {
    lintDefaultImages(file, predefined, report);
    globals = globalArgValues(file, given, predefined);
  } catch (error) {
    return ignoreInvalid(error);
  }
  const linter = new ScopeLinter(file, options, globals, report);
  try {
    for (const stage of file.stages) linter.lintStage(stage);
  } catch (error) {
    // Of the budget: the rest goes unlinted.
    if (!(error instanceof RangeError)) throw error;
  }
}

/** What a stage knows, and hands on to those that are built on it. */
interface Scope {
  /** Undefined where the base image's own variables are not known. */
  variables: Map<string, string> | undefined;
  /** Declared by ARG, with a value or not. */
  declared: Set<string>;
  hasWorkdir: boolean;
  hasShell: boolean;
}

class ScopeLinter {
  private readonly file: Dockerfile;
  private readonly options: LintOptions;
  private readonly globals: Map<string, string>;
  private readonly report: Report;
  private readonly ignored: IgnoreMatcher | undefined;
  private readonly stages = new Map<string, Scope>();
  private readonly budget = new Budget(MAX_LINT_STEPS);

  constructor(file: Dockerfile, options: LintOptions, globals: Map<string, string>, report: Report) {
    this.file = file;
    this.options = options;
    this.globals = globals;
    this.report = report;
    // With exceptions it cannot be told from a source alone whether anything of it is left.
    const patterns = options.ignorePatterns ?? [];
    this.ignored = patterns.length === 0 || patterns.some((pattern) => pattern.startsWith("!")) ? undefined : new IgnoreMatcher(patterns);
  }

  lintStage(stage: Stage): void {
    const scope = this.scopeOf(this.lintFrom(stage));
    for (const instruction of stage.instructions) {
      try {
        this.lintInstruction(instruction, scope);
      } catch (error) {
        ignoreInvalid(error);
      }
    }
    if (stage.name !== undefined) this.stages.set(stage.name, scope);
  }

  private scopeOf(image: string | undefined): Scope {
    const base = image === undefined ? undefined : this.stages.get(image.toLowerCase());
    if (base !== undefined)
      return { ...base, variables: base.variables === undefined ? undefined : new Map(base.variables), declared: new Set(base.declared) };
    const environment = image === undefined ? undefined : image === "scratch" ? [] : this.options.environmentOf?.(image);
    return {
      // Every image has a PATH: the build gives one to those without.
      variables: environment === undefined ? undefined : new Map([["PATH", ""], ...environment.map(splitVariable)]),
      declared: new Set(),
      hasWorkdir: false,
      hasShell: false,
    };
  }

  /** The name of the base image, as far as it can be told. */
  private lintFrom({ from, name }: Stage): string | undefined {
    try {
      const image = this.expandFrom(from.image, from);
      if (from.platform !== undefined) this.lintPlatform(from, this.expandFrom(from.platform, from), name ?? "");
      return image.text;
    } catch (error) {
      ignoreInvalid(error);
      return undefined;
    }
  }

  private expandFrom(word: string, from: Stage["from"]): Expansion {
    const expansion = expand(word, (name) => this.globals.get(name), this.file.directives.escape);
    const declared = new Set([...this.file.globalArgs.flatMap(({ pairs }) => pairs.map(({ name }) => name)), ...this.globals.keys()]);
    for (const name of expansion.missing) {
      if (declared.has(name)) continue;
      this.report("UndefinedArgInFrom", `FROM argument '${name}' is not declared${didYouMean("", nearest(name, declared))}`, from);
    }
    return expansion;
  }

  private lintPlatform(from: Stage["from"], platform: Expansion, stageName: string): void {
    const { found, missing, text } = platform;
    if (found.size === 1 && missing.size === 0 && found.has("TARGETPLATFORM") && text === this.globals.get("TARGETPLATFORM"))
      this.report(
        "RedundantTargetPlatform",
        `Setting platform to predefined ${from.platform ?? ""} in FROM is redundant as this is the default behavior`,
        from,
      );
    if (found.size > 0 || missing.size > 0) return;
    const { os, architecture } = parsePlatform(text);
    // A stage that says in its name what it is for may be for one platform.
    if (stageName.includes(os) || stageName.includes(architecture)) return;
    this.report("FromPlatformFlagConstDisallowed", `FROM --platform flag should not use constant value "${text}"`, from);
  }

  private lintInstruction(instruction: Instruction, scope: Scope): void {
    const expandHere = (word: string): string => this.expand(word, instruction, scope);
    switch (instruction.kind) {
      case "add":
      case "copy":
        this.lintCopy(instruction, scope);
        break;
      case "arg":
        this.lintArg(instruction, scope);
        break;
      case "env":
        for (const pair of instruction.pairs) {
          const name = expandHere(pair.name);
          this.lintSecret("ENV", name, instruction);
          const value = expandHere(pair.value);
          scope.variables?.set(name, value);
        }
        break;
      case "label":
        for (const { name, value } of instruction.pairs) [name, value].forEach(expandHere);
        break;
      case "run":
        for (const mount of instruction.mounts) parseMount(mount, expandHere);
        break;
      case "stopsignal":
        expandHere(instruction.signal);
        break;
      case "user":
        expandHere(instruction.user);
        break;
      case "volume":
        instruction.paths.forEach(expandHere);
        break;
      case "workdir":
        this.lintWorkdir(expandHere(instruction.path), instruction, scope);
        break;
      case "expose":
        for (const word of instruction.ports) this.lintPorts(word, instruction, scope);
        break;
      case "cmd":
      case "entrypoint":
        if (instruction.command.form === "shell" && !scope.hasShell)
          this.report(
            "JSONArgsRecommended",
            `JSON arguments recommended for ${instruction.keyword} to prevent unintended behavior related to OS signals`,
            instruction,
          );
        break;
      case "shell":
        scope.hasShell = true;
        break;
      case "healthcheck":
      case "maintainer":
      case "onbuild":
        break;
    }
  }

  /** Tells of variables that nothing defines. */
  private expand(word: string, where: Instruction, scope: Scope, options: { isHeredoc?: boolean } = {}): string {
    const { variables } = scope;
    const escape = options.isHeredoc === true ? "\\" : this.file.directives.escape;
    const expansion = expand(word, (name) => variables?.get(name), escape, {
      ignoreQuotes: options.isHeredoc === true,
      budget: this.budget,
    });
    this.budget.spend(expansion.text.length);
    if (variables === undefined) return expansion.text;
    for (const name of expansion.missing) {
      if (scope.declared.has(name) || CONTROL_ARGS.has(name)) continue;
      const meant = didYouMean("$", nearest(name, variables.keys()));
      this.report("UndefinedVar", `Usage of undefined variable '$${name}'${meant}`, where);
    }
    return expansion.text;
  }

  private lintArg(arg: ArgInstruction, scope: Scope): void {
    for (const { name, value } of arg.pairs) {
      this.lintSecret("ARG", name, arg);
      const actual = this.options.buildArgs?.get(name) ?? (value === undefined ? this.globals.get(name) : this.expand(value, arg, scope));
      scope.declared.add(name);
      if (actual !== undefined && !CONTROL_ARGS.has(name)) scope.variables?.set(name, actual);
    }
  }

  private lintSecret(kind: "ARG" | "ENV", name: string, where: Instruction): void {
    const words = name.toLowerCase().split("_");
    if (!words.some((word) => SECRET_WORDS.has(word)) || words.some((word) => HARMLESS_WORDS.has(word))) return;
    this.report("SecretsUsedInArgOrEnv", `Do not use ARG or ENV instructions for sensitive data (${kind} ${JSON.stringify(name)})`, where);
  }

  private lintWorkdir(path: string, where: Instruction, scope: Scope): void {
    if (!scope.hasWorkdir && !path.startsWith("/"))
      this.report(
        "WorkdirRelativePath",
        `Relative workdir ${JSON.stringify(path)} can have unexpected results if the base image changes`,
        where,
      );
    scope.hasWorkdir = true;
  }

  private lintPorts(word: string, where: Instruction, scope: Scope): void {
    const ports = expandWords(word, (name) => scope.variables?.get(name), this.file.directives.escape, { budget: this.budget });
    for (const port of ports) {
      const { protocol, isMapping } = parseExposed(port);
      if (protocol !== protocol.toLowerCase())
        this.report("ExposeProtoCasing", `Defined protocol '${port}' in EXPOSE instruction should be lowercase`, where);
      if (isMapping)
        this.report(
          "ExposeInvalidFormat",
          `EXPOSE instruction should not define an IP address or host-port mapping, found '${port}'`,
          where,
        );
    }
  }

  private lintCopy(copy: AddInstruction | CopyInstruction, scope: Scope): void {
    const words = [copy.chown, copy.chmod, copy.kind === "add" ? copy.checksum : undefined, copy.destination];
    for (const word of words) if (word !== undefined) this.expand(word, copy, scope);
    for (const heredoc of copy.heredocs) if (heredoc.expand) this.expand(heredoc.content, copy, scope, { isHeredoc: true });
    for (const source of copy.sources) this.lintSource(this.expand(source, copy, scope), copy);
  }

  private lintSource(source: string, copy: AddInstruction | CopyInstruction): void {
    if (this.ignored === undefined || (copy.kind === "copy" ? copy.from !== undefined : /^(https?:\/\/|git@|git:\/\/)/.test(source)))
      return;
    const path = source.replace(/^(\.?\/)+/, "").replace(/\/+$/, "") || ".";
    // The whole context is there, unless nothing of it is.
    const isIgnored = path === "." ? this.ignored.isIgnored("any file") && this.ignored.isIgnored(".any") : this.ignored.isIgnored(path);
    if (!isIgnored) return;
    const verb = copy.kind === "add" ? "Add" : "Copy";
    this.report("CopyIgnoredFile", `Attempting to ${verb} file ${JSON.stringify(path)} that is excluded by .dockerignore`, copy);
  }
}

/** What variables may cost in a whole file, which no build paces: their values double from line to line if they like. */
const MAX_LINT_STEPS = 1_000_000;

/** Declared for the builder itself, never part of a stage's variables. */
const CONTROL_ARGS = new Set(["BUILDKIT_SBOM_SCAN_CONTEXT", "BUILDKIT_SBOM_SCAN_STAGE"]);
const SECRET_WORDS = new Set("apikey auth credential credentials key password pword passwd secret token".split(" "));
const HARMLESS_WORDS = new Set(["public", "file", "version"]);

function splitVariable(variable: string): [string, string] {
  const equals = variable.indexOf("=");
  return equals === -1 ? [variable, ""] : [variable.slice(0, equals), variable.slice(equals + 1)];
}

function didYouMean(sign: string, name: string | undefined): string {
  return name === undefined ? "" : ` (did you mean ${sign}${name}?)`;
}
