import type { Command } from "../command.ts";
import { encodeFilters, filterFlag } from "../options/filters.ts";
import { formatFlag } from "../output/format-flag.ts";
import { imageList, type ImageSummary } from "../output/images-list.ts";
import { printList } from "../output/list.ts";
import { warn } from "../output/print.ts";

const COLUMNS = (digests: boolean): string =>
  `table {{.Repository}}\t{{.Tag}}\t${digests ? "{{.Digest}}\t" : ""}{{.ID}}\t{{if .CreatedSince }}{{.CreatedSince}}{{else}}N/A{{end}}\t{{.Size}}`;

export const command: Command = {
  usage: "[OPTIONS] [REPOSITORY[:TAG]]",
  arguments: { min: 0, max: 1 },
  flags: [
    { name: "all", short: "a", kind: "boolean", usage: "Intermediate images too" },
    { name: "digests", kind: "boolean", usage: "Show digests" },
    filterFlag("Only those that fit: reference=, dangling=, label=, before=, since=, until=", "f"),
    formatFlag,
    { name: "no-trunc", kind: "boolean", usage: "Full ids" },
    { name: "quiet", short: "q", kind: "boolean", usage: "Ids only" },
  ],
  examples: [["images --filter dangling=true -q", "the ids of images without a name"]],
  async run({ client, config, flags, args, path }) {
    const filters = flags.list("filter");
    const images = await client.json<ImageSummary[]>("GET", "/images/json", {
      query: {
        all: flags.boolean("all") || undefined,
        filters: encodeFilters(args[0] === undefined ? filters : [...filters, `reference=${args[0]}`]),
      },
    });
    const format = flags.text("format") || (config.imagesFormat && !flags.boolean("quiet") ? config.imagesFormat : "table");
    const digests = flags.boolean("digests");
    const template = templateFor(format, flags.boolean("quiet"), digests);
    printList(
      template,
      imageList(images, { truncate: !flags.boolean("no-trunc"), digests, needsDigest: digests || template.includes("{{.Digest}}") }),
    );
    if (images.length === 0 && path === "images" && ["ls", "list"].includes(args[0] ?? ""))
      warn(`No images found matching ${JSON.stringify(args[0])}: did you mean "image ${args[0]}"?`);
  },
};

function templateFor(format: string, quiet: boolean, digests: boolean): string {
  if (format === "table") return quiet ? "{{.ID}}" : COLUMNS(digests);
  if (format === "raw") {
    return quiet
      ? "image_id: {{.ID}}"
      : `repository: {{ .Repository }}\ntag: {{.Tag}}\n${digests ? "digest: {{.Digest}}\n" : ""}image_id: {{.ID}}\ncreated_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n`;
  }
  return format.startsWith("table") && digests && !format.includes("{{.Digest}}") ? `${format}\t{{.Digest}}` : format;
}
