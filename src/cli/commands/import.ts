import { createReadStream, fstatSync, openSync } from "node:fs";
import type { Command } from "../command.ts";
import { CommandFailure } from "../failure.ts";
import { platformFlag } from "../options/platform.ts";
import { showProgress } from "../output/progress.ts";
import { parseReference } from "../reference.ts";
import { codeOf, messageOf } from "../../base/errors.ts";

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
    const stream = isUrl ? undefined : source === "-" ? process.stdin : openFile(source);
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

function openFile(file: string): NodeJS.ReadableStream {
  let descriptor;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    const why = codeOf(error) === "ENOENT" ? "no such file or directory" : messageOf(error);
    throw new CommandFailure(`open ${file}: ${why}`, 1, { cause: error });
  }
  if (fstatSync(descriptor).isDirectory()) throw new CommandFailure(`read ${file}: is a directory: name an archive of files`);
  return createReadStream(file, { fd: descriptor });
}
