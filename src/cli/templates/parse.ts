/**
 * The syntax of Go's text/template: actions in `{{ }}`, pipelines, `if`, `with`, `range`, `else`, `break`, `continue`, variables, comments,
 * trim markers. Not here: named templates (`define`, `template`, `block`), which no one-line format needs.
 */

export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "action"; readonly pipe: Pipe }
  | { readonly kind: "if" | "with" | "range"; readonly pipe: Pipe; readonly body: readonly Node[]; readonly otherwise: readonly Node[] }
  | { readonly kind: "break" | "continue" };

export type Pipe = {
  readonly variables: readonly string[];
  readonly assigns: boolean;
  readonly commands: readonly Command[];
  readonly at: number;
  readonly source: string;
};

export type Command = { readonly words: readonly Word[]; readonly at: number; readonly source: string };

export type Word = { readonly at: number; readonly source: string } & (
  | { readonly kind: "dot" | "nil" }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "number"; readonly value: number | bigint; readonly isFloat: boolean }
  | { readonly kind: "bool"; readonly value: boolean }
  | { readonly kind: "function"; readonly name: string }
  /** `.A.B`, `$x.A`, `(pipe).A`: fields of the dot, of a variable, of a pipeline's value. */
  | { readonly kind: "field"; readonly path: readonly string[] }
  | { readonly kind: "variable"; readonly name: string; readonly path: readonly string[] }
  | { readonly kind: "pipe"; readonly pipe: Pipe; readonly path: readonly string[] }
);

/** A template that cannot be parsed: Go's words, with the line. */
export class TemplateError extends Error {}

type Token = { readonly kind: string; readonly text: string; readonly at: number };

const TOKEN =
  /(?<space>[ \t\r\n]+)|(?<comment>\/\*[\s\S]*?\*\/)|(?<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)|(?<char>'(?:[^'\\\n]|\\.)+')|(?<number>[+-]?(?:0[xX][\da-fA-F_]+|0[oO]?[0-7_]+(?![\d.])|\d[\d_]*(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?))|(?<field>\.[\p{L}_][\p{L}\p{N}_]*)|(?<variable>\$[\p{L}\p{N}_]*)|(?<word>[\p{L}_][\p{L}\p{N}_]*)|(?<sign>:=|[|().,=])/suy;

/** Parses a template; `isFunction` says which names may be called. */
export function parseTemplate(source: string, name: string, isFunction: (name: string) => boolean): Node[] {
  const lineAt = (at: number): number => source.slice(0, at).split("\n").length;
  const fail = (at: number, message: string): never => {
    throw new TemplateError(`template: ${name}:${lineAt(at)}: ${message}`);
  };
  const pieces = split(source, fail);
  let next = 0;

  const block = (opener: string | undefined, variables: ReadonlySet<string>, inRange: boolean): { nodes: Node[]; end: Token[] } => {
    const nodes: Node[] = [];
    const known = new Set(variables);
    for (;;) {
      const piece = pieces[next];
      next += 1;
      if (piece === undefined) {
        if (opener !== undefined) fail(source.length, "unexpected EOF");
        return { nodes, end: [] };
      }
      if (typeof piece === "string") {
        if (piece !== "") nodes.push({ kind: "text", text: piece });
        continue;
      }
      const [first] = piece;
      if (first === undefined) continue;
      const { text: word, at } = first;
      if (word === "end" || word === "else") {
        if (opener === undefined) fail(at, `unexpected {{${word}}}`);
        return { nodes, end: piece };
      }
      if (word === "if" || word === "with" || word === "range") nodes.push(control(word, piece.slice(1), at, known, inRange));
      else if (word === "break" || word === "continue") {
        if (!inRange) fail(at, `{{${word}}} outside {{range}}`);
        nodes.push({ kind: word });
      } else if (["define", "template", "block"].includes(word)) fail(at, `{{${word}}} is not supported here`);
      else nodes.push({ kind: "action", pipe: new PipeParser(piece, source, known, isFunction, fail).whole("command") });
    }
  };

  const control = (kind: "if" | "with" | "range", tokens: Token[], at: number, variables: ReadonlySet<string>, inRange: boolean): Node => {
    const known = new Set(variables);
    if (tokens.length === 0) fail(at, `missing value for ${kind}`);
    const pipe = new PipeParser(tokens, source, known, isFunction, fail).whole(kind);
    const body = block(kind, known, inRange || kind === "range");
    if (body.end[0]?.text === "end") return { kind, pipe, body: body.nodes, otherwise: [] };
    const [, , chained, ...rest] = body.end;
    if (chained !== undefined) {
      if (chained.text !== "if" && chained.text !== "with") fail(chained.at, `unexpected <${chained.text}> in else`);
      // `else if` is an `if` inside the `else`, which the one `end` closes.
      return {
        kind,
        pipe,
        body: body.nodes,
        otherwise: [control(chained.text === "if" ? "if" : "with", rest, chained.at, known, inRange)],
      };
    }
    const otherwise = block(kind, known, inRange);
    if (otherwise.end[0]?.text !== "end") fail(at, "expected end; found {{else}}");
    return { kind, pipe, body: body.nodes, otherwise: otherwise.nodes };
  };

  return block(undefined, new Set(["$"]), false).nodes;
}

/** Text and the tokens of each action, in turn; trim markers are applied to the text. */
function split(source: string, fail: (at: number, message: string) => never): (string | Token[])[] {
  const pieces: (string | Token[])[] = [];
  let at = 0;
  let trimStart = false;
  for (;;) {
    const open = source.indexOf("{{", at);
    const text = open === -1 ? source.slice(at) : source.slice(at, open);
    const trimEnd = open !== -1 && /^-[ \t\r\n]/.test(source.slice(open + 2, open + 4));
    const trimmed = trimStart ? text.trimStart() : text;
    pieces.push(trimEnd ? trimmed.trimEnd() : trimmed);
    if (open === -1) return pieces;
    const tokens: Token[] = [];
    for (at = open + (trimEnd ? 3 : 2); ;) {
      const closing = /^[ \t\r\n]*([ \t\r\n]-)?\}\}/.exec(source.slice(at, at + 256));
      if (closing !== null) {
        at += closing[0].length;
        trimStart = closing[1] !== undefined;
        break;
      }
      TOKEN.lastIndex = at;
      const match = TOKEN.exec(source);
      if (match === null) {
        const rest = source.slice(at);
        if (rest.trim() === "" || !rest.includes("}}")) {
          if (/^["`]/.test(rest)) fail(at, rest.startsWith('"') ? "unterminated quoted string" : "unterminated raw quoted string");
          if (rest.trim() === "") fail(open, "unclosed action");
        }
        const character = rest.charAt(0);
        if (character === '"') fail(at, "unterminated quoted string");
        fail(at, `bad character U+${(rest.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")} '${character}'`);
        return pieces;
      }
      const kind = Object.entries(match.groups ?? {}).find(([, value]) => value !== undefined)?.[0] ?? "";
      if (kind !== "comment") tokens.push({ kind, text: match[0], at });
      at = TOKEN.lastIndex;
    }
    pieces.push(tokens.filter(({ kind }, index) => kind !== "space" || (index > 0 && index < tokens.length - 1)));
  }
}

/** Parses the pipeline of one action. Spaces are tokens here: they separate a command's words, and end a chain of fields. */
class PipeParser {
  readonly #tokens: readonly Token[];
  readonly #source: string;
  readonly #variables: Set<string>;
  readonly #isFunction: (name: string) => boolean;
  readonly #fail: (at: number, message: string) => never;
  #next = 0;

  constructor(
    tokens: readonly Token[],
    source: string,
    variables: Set<string>,
    isFunction: (name: string) => boolean,
    fail: (at: number, message: string) => never,
  ) {
    this.#tokens = tokens;
    this.#source = source;
    this.#variables = variables;
    this.#isFunction = isFunction;
    this.#fail = fail;
  }

  /** The pipeline of a whole action; `context` names it in messages. */
  whole(context: string): Pipe {
    const pipe = this.#pipe(context, context === "range");
    const left = this.#peek();
    if (left !== undefined)
      this.#fail(left.at, `unexpected ${JSON.stringify(left.text)} in ${context === "command" ? "command" : context}`);
    return pipe;
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#next];
  }

  #skipSpace(): void {
    while (this.#peek()?.kind === "space") this.#next += 1;
  }

  #end(): number {
    const token = this.#tokens[this.#next - 1];
    return token === undefined ? 0 : token.at + token.text.length;
  }

  #pipe(context: string, inRange: boolean): Pipe {
    this.#skipSpace();
    const at = this.#peek()?.at ?? this.#end();
    const { variables, assigns } = this.#declaration(inRange);
    const commands: Command[] = [];
    for (;;) {
      this.#skipSpace();
      const token = this.#peek();
      if (token === undefined || token.text === ")") {
        if (commands.length === 0) this.#fail(token?.at ?? this.#end(), `missing value for ${context}`);
        break;
      }
      commands.push(this.#command());
      this.#skipSpace();
      if (this.#peek()?.text !== "|") break;
      this.#next += 1;
    }
    for (const variable of variables) this.#variables.add(variable);
    return { variables, assigns, commands, at, source: this.#source.slice(at, this.#end()).trim() };
  }

  #declaration(inRange: boolean): { variables: string[]; assigns: boolean } {
    const start = this.#next;
    const variables: string[] = [];
    for (;;) {
      const token = this.#peek();
      if (token?.kind !== "variable") break;
      this.#next += 1;
      variables.push(token.text);
      this.#skipSpace();
      const sign = this.#peek();
      if (sign?.text === ":=" || sign?.text === "=") {
        this.#next += 1;
        if (sign.text === "=")
          for (const name of variables) if (!this.#variables.has(name)) this.#fail(token.at, `undefined variable ${JSON.stringify(name)}`);
        return { variables, assigns: sign.text === "=" };
      }
      if (sign?.text !== ",") break;
      if (variables.length > 1 || !inRange) this.#fail(sign.at, `too many declarations in ${inRange ? "range" : "command"}`);
      this.#next += 1;
      this.#skipSpace();
    }
    this.#next = start;
    return { variables: [], assigns: false };
  }

  #command(): Command {
    const at = this.#peek()?.at ?? 0;
    const words: Word[] = [];
    for (;;) {
      words.push(this.#word());
      const token = this.#peek();
      if (token?.kind === "space") {
        this.#skipSpace();
        const after = this.#peek();
        if (after === undefined || after.text === "|" || after.text === ")") break;
        continue;
      }
      if (token !== undefined && token.text !== "|" && token.text !== ")")
        this.#fail(token.at, `unexpected ${JSON.stringify(token.text)} in operand`);
      break;
    }
    return { words, at, source: this.#source.slice(at, this.#end()).trim() };
  }

  #word(): Word {
    const token = this.#peek();
    if (token === undefined) return this.#fail(this.#end(), "missing value for command");
    this.#next += 1;
    const { at } = token;
    const here = (): string => this.#source.slice(at, this.#end());
    if (token.text === "(") {
      const pipe = this.#pipe("parenthesized pipeline", false);
      if (this.#peek()?.text !== ")") this.#fail(at, "unclosed left paren");
      this.#next += 1;
      const chain = this.#chain();
      return { kind: "pipe", pipe, path: chain.path, at: chain.at ?? at, source: here() };
    }
    switch (token.kind) {
      case "field": {
        // Go gives a chain the place of its second field.
        const chain = this.#chain();
        return { kind: "field", path: [token.text.slice(1), ...chain.path], at: chain.at ?? at, source: here() };
      }
      case "variable": {
        if (!this.#variables.has(token.text)) this.#fail(at, `undefined variable ${JSON.stringify(token.text)}`);
        const chain = this.#chain();
        return { kind: "variable", name: token.text, path: chain.path, at: chain.at ?? at, source: here() };
      }
      case "string":
        return { kind: "string", value: unquote(token.text), at, source: token.text };
      case "char":
        return {
          kind: "number",
          value: unquote(`"${token.text.slice(1, -1)}"`).codePointAt(0) ?? 0,
          isFloat: false,
          at,
          source: token.text,
        };
      case "number": {
        const digits = token.text.replaceAll("_", "");
        const isFloat = /[.eE]/.test(digits) && !/^[+-]?0[xX]/.test(digits);
        const whole = digits.replace(/^[+-]/, "").replace(/^0[oO]?(?=[0-7]+$)/, "0o");
        const value = isFloat ? Number(digits) : BigInt(whole) * (digits.startsWith("-") ? -1n : 1n);
        return {
          kind: "number",
          value: typeof value === "bigint" && Number.isSafeInteger(Number(value)) ? Number(value) : value,
          isFloat,
          at,
          source: token.text,
        };
      }
      case "word":
        if (token.text === "true" || token.text === "false") return { kind: "bool", value: token.text === "true", at, source: token.text };
        if (token.text === "nil") return { kind: "nil", at, source: token.text };
        if (!this.#isFunction(token.text)) this.#fail(at, `function ${JSON.stringify(token.text)} not defined`);
        return { kind: "function", name: token.text, at, source: token.text };
      default:
        if (token.text === ".") return { kind: "dot", at, source: "." };
        return this.#fail(at, `unexpected ${JSON.stringify(token.text)} in operand`);
    }
  }

  #chain(): { path: string[]; at: number | undefined } {
    const path: string[] = [];
    const first = this.#peek();
    for (let token = first; token?.kind === "field"; token = this.#peek()) {
      path.push(token.text.slice(1));
      this.#next += 1;
    }
    return { path, at: path.length === 0 ? undefined : first?.at };
  }
}

/** The string behind a Go literal. */
function unquote(literal: string): string {
  if (literal.startsWith("`")) return literal.slice(1, -1);
  const simple: Readonly<Record<string, string>> = {
    n: "\n",
    t: "\t",
    r: "\r",
    a: "\x07",
    b: "\b",
    f: "\f",
    v: "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
  };
  return literal
    .slice(1, -1)
    .replace(
      /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{3})|(.))/gs,
      (whole, hex: string, four: string, eight: string, octal: string, letter: string) => {
        const code = hex ?? four ?? eight;
        if (code !== undefined) return String.fromCodePoint(Number.parseInt(code, 16));
        if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8));
        return simple[letter] ?? whole;
      },
    );
}
