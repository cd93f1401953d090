import { executeTemplate } from "./execute.ts";
import { functions, headingFunctions, type TemplateFunction } from "./functions.ts";
import type { GoValue } from "./go-values.ts";
import { parseTemplate } from "./parse.ts";

/**
 * Go templates, the language of every `--format`: enough of Go's text/template and of the Docker CLI's functions that the formats people
 * have in their scripts print the same. `parse.ts` has the syntax, `execute.ts` the rules, `functions.ts` and `printf.ts` the functions,
 * `go-values.ts` and `go-print.ts` what Go values are and look like, `go-structs.ts` the structs of the Engine API.
 */
export type Template = {
  /** Prints `data` with the template. Throws a TemplateError in Go's words. */
  execute(data: GoValue, options?: { readonly missingKeyFails?: boolean }): string;
  /** Prints a table's headings. */
  executeHeadings(headings: GoValue): string;
};

export function compileTemplate(source: string, name = "", more: Readonly<Record<string, TemplateFunction>> = {}): Template {
  const known = { ...functions, ...more };
  const nodes = parseTemplate(source, name, (word) => word === "and" || word === "or" || Object.hasOwn(known, word));
  return {
    execute: (data, { missingKeyFails = false } = {}) => executeTemplate(nodes, data, { name, source, functions: known, missingKeyFails }),
    executeHeadings: (headings) =>
      executeTemplate(nodes, headings, { name, source, functions: { ...known, ...headingFunctions }, missingKeyFails: false }),
  };
}
