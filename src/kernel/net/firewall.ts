import { messageOf } from "../../base/errors.ts";
import { openNftables, type FirewallWay, type Nftables, type RunProgram } from "./nftables.ts";

/**
 * The firewall of one daemon: one nftables table of its own. Rules never change; what changes are elements of sets and maps. This part
 * holds the elements that ought to be there, brings changes into the kernel as one transaction each, and puts the whole table back when
 * it was flushed or changed by others (possible only where the kernel does not let us own it).
 */
export interface FirewallSettings {
  table: string;
  /** Declarations of sets and chains, then rules, without the table: `set bridges { type ifname; }`, `rule guard iifname lo accept`. */
  declarations: string[];
  rules: string[];
  elements: FirewallElement[];
  /** Sets of which the kernel's own table remembers the elements across daemons. */
  keep: string[];
  /** Where the fall-back to the `nft` program puts its commands. */
  scratchFile: string;
  way: FirewallWay;
}

/** One element of a set, or of a map when it has a value, as nft writes them but without quotes: `tsubo0 . 172.17.0.0/16`. */
export interface FirewallElement {
  set: string;
  key: string;
  value?: string | undefined;
}

export interface FirewallChange {
  add: FirewallElement[];
  remove: FirewallElement[];
}

export class Firewall {
  readonly #nftables: Nftables;
  readonly #settings: FirewallSettings;
  /** What ought to be there: set, then key, then value ("" in a set). */
  readonly #elements = new Map<string, Map<string, string>>();
  #owned = false;
  #generation = 0;
  #rulesListed = "";

  /** Makes the kernel's table exactly what the settings say, in one transaction; packets never meet a half-made one. */
  constructor(settings: FirewallSettings, runProgram: RunProgram) {
    this.#settings = settings;
    for (const element of settings.elements) this.#remember(element);
    this.#nftables = openNftables(settings.scratchFile, runProgram, settings.way);
    try {
      for (const set of settings.keep) for (const element of this.#listSet(set)) this.#remember(element);
      this.#own();
      try {
        this.assertAll();
      } catch {
        // A table that another version made with other declarations: only making it anew helps.
        this.#run(`delete table inet ${settings.table}`);
        this.#own();
        this.assertAll();
      }
    } catch (error) {
      this.#nftables.close();
      throw error;
    }
  }

  get by(): Nftables["by"] {
    return this.#nftables.by;
  }

  get owned(): boolean {
    return this.#owned;
  }

  /** For what is not in our table. */
  get nftables(): Nftables {
    return this.#nftables;
  }

  /** Keys of the elements that ought to be in a set, without quotes. */
  keysOf(set: string): string[] {
    return [...(this.#elements.get(set)?.keys() ?? [])].map((key) => key.replaceAll('"', ""));
  }

  /** One change, atomically. What is already so is left out; if the kernel disagrees with what we remember, everything is put right. */
  change(change: FirewallChange): void {
    const removed = change.remove.filter((element) => this.#elements.get(element.set)?.has(element.key));
    const added = change.add.filter((element) => this.#elements.get(element.set)?.get(element.key) !== (element.value ?? ""));
    const replaced = added.filter(
      (element) => this.#elements.get(element.set)?.has(element.key) && !removed.some((other) => same(other, element)),
    );
    for (const element of removed) this.#elements.get(element.set)?.delete(element.key);
    for (const element of added) this.#remember(element);
    const commands = [
      ...[...removed, ...replaced].map((element) => `delete element inet ${this.#settings.table} ${element.set} { ${element.key} }`),
      ...added.map((element) => this.#addCommand(element)),
    ];
    if (commands.length === 0) return;
    try {
      this.#run(commands.join("\n"));
    } catch (error) {
      try {
        this.assertAll();
      } catch (second) {
        for (const element of added) this.#elements.get(element.set)?.delete(element.key);
        throw new Error(`${messageOf(error)}; putting the whole table back failed too: ${messageOf(second)}`, { cause: second });
      }
    }
  }

  /** Puts the whole table into the kernel: flushes the rules and sets and fills them again, in one transaction. */
  assertAll(): void {
    const { table, declarations, rules } = this.#settings;
    const stores = declarations.map((declaration) => /^(set|map) \S+/.exec(declaration)?.[0]).filter((store) => store !== undefined);
    const inTable = (command: string): string => command.replace(/^(\S+) /, `$1 inet ${table} `);
    this.#generation = this.#nftables.generation();
    this.#run(
      [
        // An owned table exists already, and nft may not name it again without its flags.
        ...(this.#owned ? [] : [`add table inet ${table}`]),
        ...declarations.map((declaration) => `add ${inTable(declaration)}`),
        `flush table inet ${table}`,
        ...stores.map((store) => `flush ${inTable(store)}`),
        ...[...this.#elements].flatMap(([set, entries]) => [...entries].map(([key, value]) => this.#addCommand({ set, key, value }))),
        ...rules.map((rule) => `add ${inTable(rule)}`),
      ].join("\n"),
    );
    if (this.#owned) return;
    const seen = this.#look().rules;
    // What was listed is ours only if nobody else committed since; otherwise the next watch finds a difference and asserts again.
    this.#rulesListed = this.#nftables.generation() === this.#generation ? seen : "unknown";
  }

  /** True when somebody else committed a change to any table of this network namespace since the last look. */
  changedByOthers(): boolean {
    const generation = this.#nftables.generation();
    if (generation === this.#generation) return false;
    this.#generation = generation;
    return true;
  }

  /** After a foreign change: puts our table back if it is not what it was. True if it had to. */
  heal(): boolean {
    if (this.#owned) return false;
    const seen = this.#look();
    const sizes = [...this.#elements].every(([set, entries]) => (seen.sizes.get(set) ?? 0) === entries.size);
    if (seen.rules === this.#rulesListed && sizes) return false;
    this.assertAll();
    return true;
  }

  /** The elements that the kernel has now, written as ours are but without quotes. */
  listElements(): FirewallElement[] {
    return elementsOf(this.#nftables.list(`list table inet ${this.#settings.table}`));
  }

  /** Takes the table away; for those who leave nothing behind. */
  remove(): void {
    this.#run(`delete table inet ${this.#settings.table}`);
  }

  close(): void {
    this.#nftables.close();
  }

  #own(): void {
    this.#owned = this.#settings.way === "owner" && this.#nftables.own(this.#settings.table);
  }

  #run(commands: string): void {
    this.#nftables.run(commands);
    // One text is one commit. When others commit at this very moment the numbers differ, and the next look compares.
    this.#generation += 1;
  }

  /** The table as the kernel has it: its chains and rules as text, and how many elements each set holds. */
  #look(): { rules: string; sizes: Map<string, number> } {
    const sizes = new Map<string, number>();
    let objects: Record<string, unknown>[];
    try {
      objects = this.#nftables.list(`list table inet ${this.#settings.table}`);
    } catch {
      return { rules: "absent", sizes };
    }
    const kept = objects.map((object) => {
      const store = object["set"] ?? object["map"];
      if (!isRecord(store)) return object;
      const { elem: elements, ...rest } = store;
      sizes.set(String(store["name"]), Array.isArray(elements) ? elements.length : 0);
      return rest;
    });
    return { rules: JSON.stringify(kept, (key, value: unknown) => (key === "handle" ? undefined : value)), sizes };
  }

  /** Elements of a set of names before the table is ours; none when there is no table yet. */
  #listSet(set: string): FirewallElement[] {
    try {
      const elements = elementsOf(this.#nftables.list(`list set inet ${this.#settings.table} ${set}`));
      return elements.map((element) => ({ ...element, key: `"${element.key}"` }));
    } catch {
      return [];
    }
  }

  #addCommand(element: FirewallElement): string {
    const value = element.value === undefined || element.value === "" ? "" : ` : ${element.value}`;
    return `add element inet ${this.#settings.table} ${element.set} { ${element.key}${value} }`;
  }

  #remember(element: FirewallElement): void {
    const entries = this.#elements.get(element.set) ?? new Map<string, string>();
    entries.set(element.key, element.value ?? "");
    this.#elements.set(element.set, entries);
  }
}

function same(one: FirewallElement, other: FirewallElement): boolean {
  return one.set === other.set && one.key === other.key;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** The elements of all sets and maps in a listing. */
function elementsOf(objects: Record<string, unknown>[]): FirewallElement[] {
  return objects.flatMap((object) => {
    const store = object["set"] ?? object["map"];
    if (!isRecord(store) || !Array.isArray(store["elem"])) return [];
    const set = String(store["name"]);
    const isMap = "map" in object;
    return store["elem"].map((element: unknown): FirewallElement => {
      if (!isMap || !Array.isArray(element)) return { set, key: elementText(element) };
      return { set, key: elementText(element[0]), value: elementText(element[1]) };
    });
  });
}

/** An element of libnftables' JSON as nft's own language writes it, without quotes. */
function elementText(element: unknown): string {
  if (!isRecord(element)) return String(element);
  const { concat, prefix } = element;
  if (Array.isArray(concat)) return concat.map(elementText).join(" . ");
  if (isRecord(prefix)) return `${String(prefix["addr"])}/${String(prefix["len"])}`;
  return JSON.stringify(element);
}
