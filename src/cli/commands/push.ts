import type { Command } from "../command.ts";
import { segment } from "../engine/client.ts";
import { registryAuth } from "../engine/credentials.ts";
import { CommandFailure } from "../failure.ts";
import { encodePlatform } from "../options/platform.ts";
import { print, printLine } from "../output/print.ts";
import { showProgress } from "../output/progress.ts";
import { fullString, parseReference, withDefaultTag } from "../reference.ts";

export const command: Command = {
  usage: "[OPTIONS] NAME[:TAG]",
  arguments: { min: 1, max: 1 },
  flags: [
    { name: "all-tags", short: "a", kind: "boolean", usage: "Every tag of the repository" },
    { name: "disable-content-trust", kind: "boolean", initial: "true", usage: "", hidden: true },
    {
      name: "platform",
      kind: "text",
      value: "string",
      usage: "Only the variant for this platform (os[/arch[/variant]]), as an image of its own",
      since: "1.46",
    },
    { name: "quiet", short: "q", kind: "boolean", usage: "Print only the image's full name" },
  ],
  about: "What the registry has already is not sent again.",
  examples: [["push registry.example.org:5000/team/app:1.2", "to a registry of your own; log in there first"]],
  async run({ client, config, flags, args }) {
    const platform = encodePlatform(flags.text("platform"));
    if (platform !== undefined) note(SINGLE_PLATFORM);
    const given = parseReference(args[0] ?? "");
    const [all, quiet] = [flags.boolean("all-tags"), flags.boolean("quiet")];
    const isNameOnly = given.tag === undefined && given.digest === undefined;
    if (all && !isNameOnly) throw new CommandFailure("tag can't be used with --all-tags/-a");
    const reference = all ? given : withDefaultTag(given);
    if (!all && isNameOnly && !quiet) printLine(`Using default tag: ${reference.tag}`);
    if (reference.digest !== undefined) throw new CommandFailure("cannot push a digest reference");
    const body = await client.request("POST", `/images/${segment(`${reference.domain}/${reference.path}`)}/push`, {
      query: { tag: reference.tag, platform },
      headers: { "X-Registry-Auth": registryAuth(config, reference.domain) },
    });
    const notes: string[] = [];
    const onAux = (aux: unknown): void => void notes.push(...notesOn(aux));
    await showProgress(body, quiet ? undefined : 1, { onAux }).finally(() => notes.forEach(note));
    if (quiet) printLine(fullString(reference));
  },
};

const SINGLE_PLATFORM = `Using --platform pushes only the specified platform manifest of a multi-platform image index.
Other components, like attestations, will not be included.
To push the complete multi-platform image, remove the --platform flag.
`;

type Digest = { readonly digest?: string };
type Aux = {
  readonly manifestPushedInsteadOfIndex?: boolean;
  readonly originalIndex?: Digest;
  readonly selectedManifest?: Digest;
  readonly contentMissing?: boolean;
};

/** What the engine tells beside the progress: that not all of a multi-platform image went. */
function notesOn(message: unknown): string[] {
  // The engine's own format; a field that is absent says nothing.
  const aux = message as Aux;
  if (aux.manifestPushedInsteadOfIndex === true) {
    return [
      `Not all multiplatform-content is present and only the available single-platform image was pushed\n${aux.originalIndex?.digest} -> ${aux.selectedManifest?.digest}`,
    ];
  }
  if (aux.contentMissing !== true) return [];
  return [
    "The image is an index of several platforms, and not all that it names is here or at the registry.\nPull the missing platforms first, or push one of them with --platform.",
  ];
}

function note(text: string): void {
  print(
    `\n${text
      .split("\n")
      .map((line, at) => `${at === 0 ? " Info -> " : "         "}${line}\n`)
      .join("")}`,
  );
}
