import { messageOf } from "../../base/errors.ts";
import { decodeJson, reformatJson } from "../engine/json.ts";
import { CommandFailure } from "../failure.ts";
import { structType } from "../templates/go-structs.ts";
import { ANY } from "../templates/go-values.ts";
import { compileTemplate, type Template } from "../templates/template.ts";
import { print } from "./print.ts";

/** One object as the engine gave it: its JSON, and the struct it is of. `structOnly`: a template sees nothing else. */
export type Inspected = { readonly text: string; readonly struct: string; readonly structOnly?: boolean };

const INDENT = "    ";
/** The status for a template that cannot be parsed, where one object is printed. */
export const TEMPLATE_FAILURE = 64;

/**
 * What `inspect` prints: the objects as a JSON array, digit for digit as the engine sent them, or one line of a template for each.
 * Those that are not found do not keep the others from being printed; they are the error at the end.
 */
export async function printInspected(names: readonly string[], format: string, read: (name: string) => Promise<Inspected>): Promise<void> {
  const template = format === "" || format === "json" ? undefined : compileOne(format);
  const failures: string[] = [];
  const out: string[] = [];
  for (const name of names) {
    try {
      const found = await read(name);
      out.push(template === undefined ? found.text : `${execute(template, found)}\n`);
    } catch (error) {
      failures.push(messageOf(error));
    }
  }
  if (template === undefined) print(`${reformatJson(`[${out.join(",")}]`, format === "json" ? "" : INDENT)}\n`);
  else print(out.join("") || "\n");
  if (failures.length > 0) throw new CommandFailure(failures.join("\n"));
}

/** A template for one object; `name` is what its errors call it. */
export function compileOne(format: string, name = ""): Template {
  try {
    return compileTemplate(format, name);
  } catch (error) {
    throw new CommandFailure(`template parsing error: ${messageOf(error)}`, TEMPLATE_FAILURE, { cause: error });
  }
}

/** What the struct does not have may still be in the JSON: the template is tried on both. */
function execute(template: Template, { text, struct, structOnly = false }: Inspected): string {
  const value = decodeJson(text);
  try {
    return template.execute({ type: structType(struct), value });
  } catch (failure) {
    if (structOnly) throw new Error(`template parsing error: ${messageOf(failure)}`, { cause: failure });
    try {
      return template.execute({ type: ANY, value }, { missingKeyFails: true });
    } catch (error) {
      throw new Error(`template parsing error: ${messageOf(error)}`, { cause: error });
    }
  }
}
