import { CommandFailure } from "../failure.ts";
import { compileTemplate, type Template } from "../templates/template.ts";
import type { GoValue, Row } from "../templates/go-values.ts";
import { print } from "./print.ts";
import { layOut } from "./table.ts";

/**
 * Lists: rows printed with a template. `--format` is `table` or `table TEMPLATE` (columns with headings), `json` (an object a line), `raw`
 * where a list has it, or a template.
 */
export type List = {
  /** Go's name of a row, for messages. */
  readonly rowType: string;
  readonly headings: Readonly<Record<string, string>>;
  readonly rows: readonly Row[];
};

const MIN_WIDTH = 10;
const PADDING = 3;

/** A format's template; `table ` in front and escapes are taken care of. */
export function compileFormat(format: string): { readonly template: Template; readonly isTable: boolean } {
  const isTable = format.startsWith("table");
  const source = (isTable ? format.slice("table".length) : format === "json" ? "{{json .}}" : format)
    .replace(/^ +| +$/g, "")
    .replaceAll("\\t", "\t")
    .replaceAll("\\n", "\n");
  try {
    return { template: compileTemplate(source), isTable };
  } catch (error) {
    throw new CommandFailure(`template parsing error: ${error instanceof Error ? error.message : String(error)}`, 1, { cause: error });
  }
}

export function printList(format: string, { rowType, headings, rows }: List): void {
  const { template, isTable } = compileFormat(format);
  const lines: string[] = [];
  for (const row of rows) {
    try {
      lines.push(template.execute(rowValue(rowType, row)));
    } catch (error) {
      throw new CommandFailure(`template parsing error: ${error instanceof Error ? error.message : String(error)}`, 1, { cause: error });
    }
  }
  if (isTable) print(layOut([headingLine(template, headings), ...lines, ""].join("\n"), MIN_WIDTH, PADDING));
  else print(lines.map((line) => `${line}\n`).join(""));
}

export function rowValue(name: string, row: Row): GoValue {
  return { type: { kind: "row", name }, value: row };
}

/** What cannot be printed over headings ends the line there, as with Docker. */
function headingLine(template: Template, headings: Readonly<Record<string, string>>): string {
  const label = (name: string): string => (name.split(".").at(-1) ?? "").replace(/[-_]/g, " ");
  try {
    return template.executeHeadings({
      type: { kind: "headings", name: "formatter.SubHeaderContext" },
      value: { ...headings, Label: label },
    });
  } catch {
    return "";
  }
}
