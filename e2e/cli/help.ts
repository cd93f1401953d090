/** What `--help` of a command promises, read from its text: usage, aliases, flags with the kind of their value. */
export function partsOf(help: string): string[] {
  const text = help.replaceAll(/\bdocker\b/g, "tsubo");
  const usage = /^Usage: .*$/m.exec(text)?.[0] ?? "";
  const aliases = /^Aliases:\n(.*)$/m.exec(text)?.[1]?.trim().split(", ") ?? [];
  const flags = text.matchAll(/^ +(-\w, )?(--[\w-]+)( [a-z]+)?/gm);
  return [usage, ...aliases, ...[...flags].map(([, short = "", name, value = ""]) => `${short}${name}${value}`)];
}

/** The commands of `docker` that are here, by one of their places. */
export const places = [
  ..."attach build commit cp create diff events exec export history images import info inspect kill load login logout logs pause port ps".split(
    " ",
  ),
  ..."pull push rename restart rm rmi run save search start stop tag top unpause version wait".split(" "),
  ..."builder prune,container inspect,container prune,image inspect,image prune,network inspect,network ls,network prune".split(","),
  ..."network connect,network create,network disconnect,network rm,volume create,volume rm".split(","),
  ..."system df,system prune,volume inspect,volume ls,volume prune".split(","),
];

/**
 * Flags of volumes in a Swarm cluster, of which there is none here. Flags that are accepted and not shown, because they do nothing here: Windows, kernel memory, content trust, checkpoints. And two that are
 * experiments of docker's own and not there: `images --tree`, `run --use-api-socket`.
 */
export const notOurs: ReadonlySet<string> = new Set([
  ..."--cpu-count int,--cpu-percent int,--io-maxbandwidth bytes,--io-maxiops uint,--isolation string,--kernel-memory bytes".split(","),
  ..."--availability string,--group string,--limit-bytes bytes,--required-bytes bytes,--secret map,--sharing string,--type string".split(
    ",",
  ),
  ..."--topology-preferred list,--topology-required list".split(","),
  ..."--disable-content-trust,--checkpoint string,--checkpoint-dir string,--help,--tree,--use-api-socket".split(","),
]);
