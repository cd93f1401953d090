import type { Command } from "../command.ts";
import { registryAuth } from "../engine/credentials.ts";
import { encodeFilters, filterFlag } from "../options/filters.ts";
import { formatFlag } from "../output/format-flag.ts";
import { printList } from "../output/list.ts";
import { warn } from "../output/print.ts";
import { ellipsis } from "../output/table.ts";
import type { Row } from "../templates/go-values.ts";

/** One repository of `GET /images/search`. */
type Found = { readonly name: string; readonly description: string; readonly star_count: number; readonly is_official: boolean };

const headings = { Name: "NAME", Description: "DESCRIPTION", StarCount: "STARS", IsOfficial: "OFFICIAL" };
const TABLE = "table {{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}";
const DESCRIPTION_WIDTH = 45;

export const command: Command = {
  usage: "[OPTIONS] TERM",
  arguments: { min: 1, max: 1 },
  flags: [
    filterFlag("Only those that fit: is-official=, stars=", "f"),
    formatFlag,
    { name: "limit", kind: "integer", value: "int", usage: "So many at most (25 where none is given)" },
    { name: "no-trunc", kind: "boolean", usage: "Full descriptions" },
  ],
  about: "Looks on Docker Hub, or in the registry that stands before the first slash of the term.",
  examples: [["search --filter is-official=true --limit 5 postgres", "the official ones"]],
  async run({ client, config, flags, args }) {
    const [term = ""] = args;
    const filters = flags.list("filter");
    if (filters.some((filter) => filter.startsWith("is-automated=")))
      warn('WARNING: the "is-automated" filter is deprecated, and searching for "is-automated=true" will not yield any results in future.');
    const limit = flags.integer("limit");
    const results = await client.json<Found[] | null>("GET", "/images/search", {
      query: { term, limit: limit > 0 ? limit : undefined, filters: encodeFilters(filters) },
      headers: { "X-Registry-Auth": registryAuth(config, domainOf(term)) },
    });
    const format = flags.text("format") || "table";
    const truncate = !flags.boolean("no-trunc");
    printList(format === "table" ? TABLE : format, {
      rowType: "*registry.searchContext",
      headings,
      rows: (results ?? []).map((found) => row(found, truncate)),
    });
  },
};

function row(found: Found, truncate: boolean): Row {
  const description = found.description.replaceAll(/[\n\r]/g, " ");
  return {
    Name: () => found.name,
    Description: () => (truncate ? ellipsis(description, DESCRIPTION_WIDTH) : description),
    StarCount: () => String(found.star_count),
    IsOfficial: (as) => (as === "json" ? String(found.is_official) : found.is_official ? "[OK]" : ""),
  };
}

/** The registry that a term names, as in an image's name. */
function domainOf(term: string): string {
  const [first = "", ...rest] = term.split("/");
  return rest.length > 0 && /[.:]|^localhost$/.test(first) ? first : "docker.io";
}
