import type { Command } from "../command.ts";
import { openArchive } from "../engine/archive.ts";
import { platformFlag } from "../options/platform.ts";
import { showProgress } from "../output/progress.ts";
import { parseReference } from "../reference.ts";

export const command: Command = {
  usage: "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
  arguments: { min: 1 },
  flags: [
    { name: "change", short: "c", kind: "list", value: "list", usage: "Dockerfile instruction for the image (CMD, ENV, EXPOSE, …)" },
    { name: "message", short: "m", kind: "text", value: "string", usage: "A word on it, for the history" },
    { name: "platform", kind: "text", value: "string", usage: "Platform of the files, such as linux/arm64", since: "1.32" },
  ],
  about: "Makes an image of one layer from an archive of files (tar, plain or compressed).",
  examples: [
    ["import -c 'CMD [\"sh\"]' rootfs.tar.gz base:1", "from a file, with the command it runs by itself"],
    ["import - base", "from standard input"],
  ],
  async run({ client, flags, args }) {
    const [source = "", name = ""] = args;
    const isUrl = /^https?:\/\//.test(source);
    const stream = isUrl ? undefined : source === "-" ? process.stdin : openArchive(source);
    if (name !== "") parseReference(name);
    const body = await client.request("POST", "/images/create", {
      query: {
        fromSrc: isUrl ? source : "-",
        repo: name || undefined,
        message: flags.text("message") || undefined,
        platform: platformFlag(flags).toLowerCase() || undefined,
        changes: flags.list("change"),
      },
      ...(stream && { stream, headers: { "Content-Type": "application/x-tar" } }),
    });
    await showProgress(body, 1);
  },
};
