import { CallError, parameters, type TemplateFunction } from "./functions.ts";
import { printValue } from "./go-print.ts";
import {
  ANY,
  concrete,
  elements,
  entries,
  fieldOf,
  indirect,
  integer,
  isTrue,
  text,
  typeName,
  type GoValue,
  type Row,
} from "./go-values.ts";
import { TemplateError, type Command, type Node, type Pipe, type Word } from "./parse.ts";

/** Runs a parsed template over a value, with Go's rules and Go's messages. */
export type ExecuteOptions = {
  readonly name: string;
  readonly source: string;
  readonly functions: Readonly<Record<string, TemplateFunction>>;
  /** A missing key of a map is an error, not `<no value>`. */
  readonly missingKeyFails: boolean;
};

export function executeTemplate(nodes: readonly Node[], data: GoValue, options: ExecuteOptions): string {
  const out: string[] = [];
  new Execution(options, out).walk(nodes, data, [{ name: "$", value: data }]);
  return out.join("");
}

/** A variable; assignment changes it in place, so that an outer one is seen to change. */
type Variable = { readonly name: string; value: GoValue | undefined };
type Leave = "break" | "continue" | undefined;
type Dot = GoValue | undefined;

const RANGE_LIMIT = 1_000_000;

/** One run: what it may call, and what it has printed. */
class Execution {
  readonly #options: ExecuteOptions;
  readonly #out: string[];

  constructor(options: ExecuteOptions, out: string[]) {
    this.#options = options;
    this.#out = out;
  }

  walk(nodes: readonly Node[], dot: Dot, variables: Variable[]): Leave {
    for (const node of nodes) {
      const leave = this.#node(node, dot, variables);
      if (leave !== undefined) return leave;
    }
    return undefined;
  }

  #node(node: Node, dot: Dot, variables: Variable[]): Leave {
    switch (node.kind) {
      case "text":
        this.#out.push(node.text);
        return undefined;
      case "action": {
        const value = this.#pipe(node.pipe, dot, variables);
        if (node.pipe.variables.length === 0) this.#out.push(printValue(value));
        return undefined;
      }
      case "break":
      case "continue":
        return node.kind;
      case "if":
      case "with": {
        const inner = [...variables];
        const value = this.#pipe(node.pipe, dot, inner);
        if (!isTrue(value)) return this.walk(node.otherwise, dot, inner);
        return this.walk(node.body, node.kind === "with" ? value : dot, inner);
      }
      case "range":
        return this.#range(node, dot, variables);
    }
  }

  #range(node: Node & { kind: "range" | "if" | "with" }, dot: Dot, variables: Variable[]): Leave {
    const { pipe } = node;
    const value = this.#commands(pipe, dot, variables);
    const over = value === undefined ? undefined : indirect(value);
    const items = this.#items(over, pipe);
    if (items.length === 0) return this.walk(node.otherwise, dot, [...variables]);
    const [first, second] = pipe.variables;
    for (const [key, item] of items) {
      const inner = [...variables];
      if (first !== undefined && second === undefined) this.#set(pipe, inner, first, item);
      if (first !== undefined && second !== undefined) {
        this.#set(pipe, inner, first, key);
        this.#set(pipe, inner, second, item);
      }
      if (this.walk(node.body, item, inner) === "break") break;
    }
    return undefined;
  }

  #items(over: Dot, pipe: Pipe): [GoValue, GoValue][] {
    if (over === undefined || (over.type.kind === "any" && over.value === null)) return [];
    if (over.type.kind === "slice") return elements(over).map((item, at) => [integer(at), item]);
    if (over.type.kind === "map") return entries(over).map(([key, item]) => [text(key), item]);
    if (over.type.kind === "int" && Number(over.value) <= RANGE_LIMIT)
      return Array.from({ length: Math.max(0, Number(over.value)) }, (_, at) => [integer(at), integer(at)]);
    const last = pipe.commands.at(-1)?.words.at(-1) ?? pipe;
    return this.#fail(last, `range can't iterate over ${printValue(over)}`);
  }

  #pipe(pipe: Pipe, dot: Dot, variables: Variable[]): Dot {
    const value = this.#commands(pipe, dot, variables);
    for (const name of pipe.variables) this.#set(pipe, variables, name, value);
    return value;
  }

  #set(pipe: Pipe, variables: Variable[], name: string, value: Dot): void {
    const known = pipe.assigns ? variables.findLast((variable) => variable.name === name) : undefined;
    if (known === undefined) variables.push({ name, value });
    else known.value = value;
  }

  #commands(pipe: Pipe, dot: Dot, variables: Variable[]): Dot {
    let value: Dot;
    for (const [at, command] of pipe.commands.entries()) value = this.#command(command, dot, variables, at > 0, value);
    return value;
  }

  #command(command: Command, dot: Dot, variables: Variable[], isPiped: boolean, piped: Dot): Dot {
    const [head, ...rest] = command.words;
    if (head === undefined) return undefined;
    const argumentsOf = (): Dot[] => [...rest.map((word) => this.#word(word, dot, variables)), ...(isPiped ? [piped] : [])];
    if (head.kind === "function") return this.#call(head, head.name, rest, dot, variables, isPiped, piped);
    const hasArguments = rest.length > 0 || isPiped;
    if (head.kind === "field" || head.kind === "variable" || head.kind === "pipe") {
      if (head.path.length > 0)
        return this.#path(this.#receiver(head, dot, variables), head.path, head, hasArguments ? argumentsOf() : undefined);
    }
    if (head.kind === "nil") this.#fail(head, "nil is not a command");
    if (hasArguments) this.#fail(head, `can't give argument to non-function ${head.source}`);
    return this.#word(head, dot, variables);
  }

  #receiver(word: Word, dot: Dot, variables: Variable[]): Dot {
    if (word.kind === "variable") return variables.findLast(({ name }) => name === word.name)?.value;
    if (word.kind === "pipe") return this.#pipe(word.pipe, dot, [...variables]);
    return dot;
  }

  #word(word: Word, dot: Dot, variables: Variable[]): Dot {
    switch (word.kind) {
      case "dot":
        return dot;
      case "nil":
        return { type: ANY, value: null };
      case "string":
        return text(word.value);
      case "bool":
        return { type: { kind: "bool", name: "bool" }, value: word.value };
      case "number":
        return word.isFloat
          ? { type: { kind: "float", name: "float64" }, value: word.value }
          : { type: { kind: "int", name: "int" }, value: word.value };
      case "function":
        return this.#call(word, word.name, [], dot, variables, false, undefined);
      case "field":
      case "variable":
      case "pipe":
        return this.#path(this.#receiver(word, dot, variables), word.path, word, undefined);
    }
  }

  #call(at: Word, name: string, words: readonly Word[], dot: Dot, variables: Variable[], isPiped: boolean, piped: Dot): Dot {
    const count = words.length + (isPiped ? 1 : 0);
    const argument = (position: number): Dot => {
      const word = words[position];
      return word === undefined ? piped : this.#word(word, dot, variables);
    };
    if (name === "and" || name === "or") {
      // They stop at the first argument that decides, so that `and .A .A.B` is safe.
      if (count === 0) this.#fail(at, `wrong number of args for ${name}: want at least 1 got 0`);
      let value: Dot;
      for (let position = 0; position < count; position += 1) {
        value = argument(position);
        if (isTrue(value) === (name === "or")) break;
      }
      return value;
    }
    this.#checkParameters(at, name, words, count);
    const args = Array.from({ length: count }, (_, position) => argument(position));
    const call = this.#options.functions[name];
    try {
      return call?.(args);
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      if (error.argument !== undefined) return this.#fail(words[error.argument] ?? at, error.message);
      if (error.message.startsWith("wrong "))
        return this.#fail(
          at,
          error.message.startsWith("wrong number of args for")
            ? error.message
            : error.message.replace("wrong number of args:", `wrong number of args for ${name}:`),
        );
      return this.#fail(at, `error calling ${name}: ${error.message}`, words);
    }
  }

  #checkParameters(at: Word, name: string, words: readonly Word[], count: number): void {
    const wanted = parameters[name];
    if (wanted === undefined) return;
    if (count !== wanted.length) this.#fail(at, `wrong number of args for ${name}: want ${wanted.length} got ${count}`);
    for (const [position, word] of words.entries()) {
      const want = wanted[position];
      if (want === undefined || want === "any") continue;
      if (word.kind === "nil") this.#fail(word, `cannot assign nil to ${want === "integer" ? "int" : want}`);
      const found = word.kind === "number" && !word.isFloat ? "integer" : word.kind;
      if (["string", "integer", "number", "bool"].includes(found) && found !== want)
        this.#fail(word, `expected ${want}; found ${word.source}`);
    }
  }

  #path(receiver: Dot, path: readonly string[], at: Word, args: readonly Dot[] | undefined): Dot {
    return path.reduce((value, name, position) => this.#field(value, name, at, position === path.length - 1 ? args : undefined), receiver);
  }

  #field(receiver: Dot, name: string, at: Word, args: readonly Dot[] | undefined): Dot {
    if (receiver === undefined) {
      if (this.#options.missingKeyFails) this.#fail(at, `nil data; no entry for key ${JSON.stringify(name)}`);
      return undefined;
    }
    const value = indirect(receiver);
    const { type } = value;
    if (value.value === null && (type.kind === "pointer" || type.kind === "any"))
      this.#fail(at, `nil pointer evaluating ${typeName(receiver.type)}.${name}`);
    if (type.kind === "row" || type.kind === "headings") return this.#method(value, name, at, args ?? []);
    if (args !== undefined && args.length > 0) this.#fail(at, `${name} has arguments but cannot be invoked as function`);
    if (type.kind === "struct") {
      const field = fieldOf(value, name);
      if (field !== undefined) return field;
    }
    if (type.kind === "map") {
      const found = entries(value).find(([key]) => key === name)?.[1];
      if (found === undefined && this.#options.missingKeyFails) this.#fail(at, `map has no entry for key ${JSON.stringify(name)}`);
      return found;
    }
    return this.#fail(at, `can't evaluate field ${name} in type ${typeName(receiver.type)}`);
  }

  #method(value: GoValue, name: string, at: Word, args: readonly Dot[]): Dot {
    // A row is its columns, headings are their texts.
    const members = value.value as Readonly<Record<string, Row[string] | string>>;
    if (name === "Label" && typeof members["Label"] === "function") {
      const label = args[0];
      if (args.length !== 1 || label === undefined) return this.#fail(at, `wrong number of args for Label: want 1 got ${args.length}`);
      return asValue(members["Label"](String(concrete(label).value)));
    }
    const member = Object.hasOwn(members, name) ? members[name] : undefined;
    if (value.type.kind === "headings") return typeof member === "string" ? text(member) : undefined;
    if (typeof member !== "function")
      return this.#fail(at, `can't evaluate field ${name} in type ${value.type.kind === "row" ? value.type.name : ""}`);
    if (args.length > 0) return this.#fail(at, `wrong number of args for ${name}: want 0 got ${args.length}`);
    return asValue(member(""));
  }

  #fail(at: Word | Pipe, message: string, words: readonly Word[] = []): never {
    const before = this.#options.source.slice(0, at.at);
    const lines = before.split("\n");
    const context = [at.source, ...words.map(({ source }) => source)].join(" ");
    throw new TemplateError(
      `template: ${this.#options.name}:${lines.length}:${Buffer.byteLength(lines.at(-1) ?? "")}: executing ${JSON.stringify(this.#options.name)} at <${context}>: ${message}`,
    );
  }
}

function asValue(result: unknown): GoValue {
  return typeof result === "string" ? text(result) : { type: { kind: "pointer", to: ANY }, value: result ?? null };
}
