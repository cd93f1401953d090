/**
 * Where a JSON text goes wrong, in the words of Go's encoding/json, which is what Docker's clients and tests have seen for years. It is
 * asked only after JSON.parse has refused a text, so it need not be quick.
 */

/** The end of the first value, or what is the matter with it. */
export function scanJson(text: string): { end: number } | { trouble: string } {
  const scanner = new Scanner(text);
  try {
    scanner.value();
    return { end: scanner.at };
  } catch (error) {
    if (error instanceof SyntaxTrouble) return { trouble: error.message };
    throw error;
  }
}

class SyntaxTrouble extends Error {}

class Scanner {
  readonly #text: string;
  at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  value(): void {
    this.#space();
    const first = this.#peek();
    if (first === "{") return this.#object();
    if (first === "[") return this.#array();
    if (first === '"') return this.#string();
    if (first === "-" || isDigit(first)) return this.#number();
    if (first === "t") return this.#literal("true");
    if (first === "f") return this.#literal("false");
    if (first === "n") return this.#literal("null");
    throw this.#unexpected("looking for beginning of value");
  }

  #object(): void {
    this.at += 1;
    this.#space();
    if (this.#peek() === "}") {
      this.at += 1;
      return;
    }
    for (;;) {
      this.#space();
      if (this.#peek() !== '"') throw this.#unexpected("looking for beginning of object key string");
      this.#string();
      this.#space();
      if (this.#peek() !== ":") throw this.#unexpected("after object key");
      this.at += 1;
      this.value();
      this.#space();
      const next = this.#peek();
      if (next !== "," && next !== "}") throw this.#unexpected("after object key:value pair");
      this.at += 1;
      if (next === "}") return;
    }
  }

  #array(): void {
    this.at += 1;
    this.#space();
    if (this.#peek() === "]") {
      this.at += 1;
      return;
    }
    for (;;) {
      this.value();
      this.#space();
      const next = this.#peek();
      if (next !== "," && next !== "]") throw this.#unexpected("after array element");
      this.at += 1;
      if (next === "]") return;
    }
  }

  #string(): void {
    this.at += 1;
    for (;;) {
      const character = this.#peek();
      if (character === '"') {
        this.at += 1;
        return;
      }
      if (character === "\\") this.#escape();
      else if (character === "" || character < " ") throw this.#unexpected("in string literal");
      else this.at += 1;
    }
  }

  #escape(): void {
    this.at += 1;
    const kind = this.#peek();
    if (kind === "" || !'bfnrt\\/"u'.includes(kind)) throw this.#unexpected("in string escape code");
    this.at += 1;
    if (kind !== "u") return;
    for (let digit = 0; digit < 4; digit += 1) {
      if (!/^[0-9a-fA-F]$/.test(this.#peek())) throw this.#unexpected(String.raw`in \u hexadecimal character escape`);
      this.at += 1;
    }
  }

  #number(): void {
    if (this.#peek() === "-") this.at += 1;
    if (!isDigit(this.#peek())) throw this.#unexpected("in numeric literal");
    if (this.#peek() === "0") this.at += 1;
    else this.#digits();
    if (this.#peek() === ".") {
      this.at += 1;
      if (!isDigit(this.#peek())) throw this.#unexpected("after decimal point in numeric literal");
      this.#digits();
    }
    if (this.#peek().toLowerCase() === "e") {
      this.at += 1;
      if (this.#peek() === "+" || this.#peek() === "-") this.at += 1;
      if (!isDigit(this.#peek())) throw this.#unexpected("in exponent of numeric literal");
      this.#digits();
    }
  }

  #digits(): void {
    while (isDigit(this.#peek())) this.at += 1;
  }

  #literal(word: string): void {
    for (const letter of word) {
      if (this.#peek() !== letter) throw this.#unexpected(`in literal ${word} (expecting '${letter}')`);
      this.at += 1;
    }
  }

  #space(): void {
    while (this.#peek() !== "" && " \t\r\n".includes(this.#peek())) this.at += 1;
  }

  /** Empty at the end. */
  #peek(): string {
    return this.#text.charAt(this.at);
  }

  #unexpected(where: string): SyntaxTrouble {
    const character = this.#peek();
    return new SyntaxTrouble(character === "" ? "unexpected EOF" : `invalid character ${quote(this.#text, this.at)} ${where}`);
  }
}

function isDigit(character: string): boolean {
  return character >= "0" && character <= "9";
}

/** Go goes by bytes and shows the first one of a character as if it were Latin-1. */
function quote(text: string, at: number): string {
  const byte = Buffer.from(String.fromCodePoint(text.codePointAt(at) ?? 0), "utf8")[0] ?? 0;
  if (byte === 0x27) return String.raw`'\''`;
  const short = { 7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 92: "\\" }[byte];
  if (short !== undefined) return `'\\${short}'`;
  if (byte < 0x20 || byte === 0x7f) return `'\\x${byte.toString(16).padStart(2, "0")}'`;
  // strconv.Quote escapes what is not printable; of Latin-1 above 0x7f those are the C1 controls, the no-break space and the soft hyphen.
  if ((byte > 0x7e && byte <= 0xa0) || byte === 0xad) return `'\\u${byte.toString(16).padStart(4, "0")}'`;
  return `'${String.fromCharCode(byte)}'`;
}
