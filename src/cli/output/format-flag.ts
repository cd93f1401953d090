import type { Flag } from "../arguments.ts";

/** `--format` of the lists. */
export const formatFlag: Flag = {
  name: "format",
  kind: "text",
  value: "string",
  usage: "How to print: 'table', 'table TEMPLATE', 'json', or a Go template",
};

/** `--format` of the commands that print one object. */
export const inspectFormatFlag: Flag = {
  name: "format",
  short: "f",
  kind: "text",
  value: "string",
  usage: "How to print: 'json', or a Go template",
};
