import { existsSync, readFileSync } from "node:fs";

import type { Nftables, RunProgram } from "./nftables.ts";

/**
 * Other programs' firewalls. A packet must pass every table; where another one drops what is forwarded by policy (dockerd, ufw and many
 * an administrator's iptables do), containers reach nobody and nobody them, whatever our own table accepts.
 *
 * For iptables the cure is a chain of ours that accepts what comes in or goes out by our bridges, called first from DOCKER-USER or FORWARD.
 * It opens nothing: our own table drops what isolation forbids, and a drop is final wherever it is. Tables in nft's own language we do not
 * touch; they are named to the caller.
 */
export interface OwnChain {
  /** Name of the chain; each daemon has one, and all begin with the same word. */
  name: string;
  /** Our bridges, as nft names them: `tsubo*` or a whole name. */
  links: readonly string[];
}

const CHAIN_PREFIX = "TSUBO";

/** Lets our packets pass iptables' policy where it drops. Gives the chains that block us and are not ours to change. */
export function passForeignDrop(nftables: Nftables, runProgram: RunProgram, chain: OwnChain, ownTable: string): string[] {
  const chains = listChains(nftables);
  const blocking = chains.filter((each) => each.hook === "forward" && each.policy === "drop" && each.table !== ownTable);
  for (const { family, table, name } of blocking.filter(isIptables)) passNft(nftables, chains, chain, { family, table, name });
  for (const { program } of legacyInUse()) passLegacy(runProgram, program, chain);
  return blocking
    .filter((each) => !isIptables(each) && ["ip", "ip6", "inet"].includes(each.family))
    .map((each) => `${each.family} ${each.table} ${each.name}`);
}

/** Takes our chain away again. */
export function removeOwnChain(nftables: Nftables, runProgram: RunProgram, chain: OwnChain): void {
  for (const { family, table } of listChains(nftables).filter((each) => each.name === chain.name)) {
    const jumps = listRules(nftables, `list table ${family} ${table}`).filter((rule) => rule.jump === chain.name);
    const commands = [
      ...jumps.map((rule) => `delete rule ${family} ${table} ${rule.chain} handle ${rule.handle}`),
      `flush chain ${family} ${table} ${chain.name}`,
      `delete chain ${family} ${table} ${chain.name}`,
    ];
    nftables.run(commands.join("\n"));
  }
  for (const { program } of legacyInUse()) {
    for (const parent of ["DOCKER-USER", "FORWARD"]) runProgram(program, ["-w", "-D", parent, "-j", chain.name]);
    runProgram(program, ["-w", "-F", chain.name]);
    runProgram(program, ["-w", "-X", chain.name]);
  }
}

interface ListedChain {
  family: string;
  table: string;
  name: string;
  hook: string;
  policy: string;
}

/** The chain that iptables-nft or ip6tables-nft keeps in nftables. */
const isIptables = ({ family, table, name }: ListedChain): boolean =>
  (family === "ip" || family === "ip6") && table === "filter" && name === "FORWARD";

function passNft(nftables: Nftables, chains: ListedChain[], own: OwnChain, at: { family: string; table: string; name: string }): void {
  const place = `${at.family} ${at.table}`;
  const parent = chains.some((each) => each.family === at.family && each.table === at.table && each.name === "DOCKER-USER")
    ? "DOCKER-USER"
    : at.name;
  const rules = listRules(nftables, `list chain ${place} ${parent}`);
  const isCalled = isFirst(
    own,
    rules.map(({ jump }) => jump),
  );
  const wanted = own.links.flatMap((link) => [`iifname "${link}"`, `oifname "${link}"`]);
  const commands = [
    `add chain ${place} ${own.name}`,
    `flush chain ${place} ${own.name}`,
    ...wanted.map((match) => `add rule ${place} ${own.name} ${match} accept`),
    ...(isCalled
      ? []
      : [
          ...rules.filter(({ jump }) => jump === own.name).map(({ handle }) => `delete rule ${place} ${parent} handle ${handle}`),
          `insert rule ${place} ${parent} jump ${own.name}`,
        ]),
  ];
  if (isCalled && listRules(nftables, `list chain ${place} ${own.name}`).length === wanted.length) return;
  nftables.run(commands.join("\n"));
}

/** Our chain is called before all rules but the calls of other daemons' chains: these may stand first as well as we. */
function isFirst(own: OwnChain, jumps: readonly (string | undefined)[]): boolean {
  const at = jumps.indexOf(own.name);
  return at >= 0 && jumps.slice(0, at).every((jump) => jump?.startsWith(CHAIN_PREFIX));
}

const LEGACY = [
  { program: "iptables-legacy", names: "/proc/net/ip_tables_names" },
  { program: "ip6tables-legacy", names: "/proc/net/ip6_tables_names" },
];

/** Those of the old kind that are loaded and have a filter table. */
function legacyInUse(): typeof LEGACY {
  return LEGACY.filter(({ names }) => existsSync(names) && readFileSync(names, "utf8").split("\n").includes("filter"));
}

function passLegacy(runProgram: RunProgram, program: string, own: OwnChain): void {
  const run = (...args: string[]): boolean => runProgram(program, ["-w", ...args])?.status === 0;
  const listed = runProgram(program, ["-w", "-S"])?.stdout.split("\n") ?? [];
  if (!listed.includes("-P FORWARD DROP")) return;
  const parent = listed.includes("-N DOCKER-USER") ? "DOCKER-USER" : "FORWARD";
  const matches = own.links
    .map((link) => link.replace("*", "+"))
    .flatMap((link) => [
      ["-i", link],
      ["-o", link],
    ]);
  if (!listed.includes(`-N ${own.name}`)) run("-N", own.name);
  for (const match of matches)
    if (!listed.includes(`-A ${own.name} ${match.join(" ")} -j ACCEPT`)) run("-A", own.name, ...match, "-j", "ACCEPT");
  const rules = listed.filter((line) => line.startsWith(`-A ${parent} `));
  if (
    isFirst(
      own,
      rules.map((rule) => / -j (\S+)$/.exec(rule)?.[1]),
    )
  )
    return;
  while (run("-D", parent, "-j", own.name));
  run("-I", parent, "-j", own.name);
}

function listChains(nftables: Nftables): ListedChain[] {
  return nftables.list("list chains").flatMap((object) => {
    // The shape is that of libnftables-json(5).
    const chain = object["chain"] as
      | (Partial<Omit<ListedChain, "policy">> & { policy?: string; family: string; table: string; name: string })
      | undefined;
    return chain === undefined ? [] : [{ ...chain, hook: chain.hook ?? "", policy: chain.policy ?? "" }];
  });
}

function listRules(nftables: Nftables, command: string): { chain: string; handle: number; jump: string | undefined }[] {
  return nftables.list(command).flatMap((object) => {
    // As above.
    const rule = object["rule"] as { chain: string; handle: number; expr: { jump?: { target: string } }[] } | undefined;
    if (rule === undefined) return [];
    return [{ chain: rule.chain, handle: rule.handle, jump: rule.expr.find((expression) => expression.jump)?.jump?.target }];
  });
}
