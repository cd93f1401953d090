/** Arguments that every build takes without an ARG, and that do not count for the cache unless one declares them. */
const PREDEFINED = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"].flatMap((name) => [name, name.toLowerCase()]);
const IS_PREDEFINED = new Set(PREDEFINED);

/** What a whole build knows of its arguments. */
export class BuildArgs {
  /** As given with the request. */
  readonly #given: ReadonlyMap<string, string | undefined>;
  /** Of the ARGs before the first FROM, and of the platform. */
  readonly #global: Map<string, string | undefined>;
  readonly #declared = new Set<string>();

  constructor(given: ReadonlyMap<string, string | undefined>, platform: Record<string, string>) {
    this.#given = given;
    this.#global = new Map(Object.entries(platform));
  }

  addGlobal(name: string, value: string | undefined): void {
    this.#declared.add(name);
    this.#global.set(name, value ?? this.#global.get(name));
  }

  /** What a variable means in a FROM. */
  global(name: string): string | undefined {
    if (!this.#global.has(name)) return undefined;
    return this.#given.has(name) && this.#declared.has(name) ? (this.#given.get(name) ?? "") : this.#global.get(name);
  }

  openStage(): StageArgs {
    return new StageArgs(this.#given, this.#global, this.#declared);
  }

  /** Names that were given and that no ARG declares; sorted. */
  unused(): string[] {
    return [...this.#given.keys()].filter((name) => !this.#declared.has(name) && !IS_PREDEFINED.has(name)).sort();
  }
}

/** The arguments of one stage, as far as its ARGs have declared them. */
export class StageArgs {
  readonly #given: ReadonlyMap<string, string | undefined>;
  readonly #global: ReadonlyMap<string, string | undefined>;
  readonly #declaredAnywhere: Set<string>;
  readonly #defaults = new Map<string, string | undefined>();

  constructor(given: ReadonlyMap<string, string | undefined>, global: ReadonlyMap<string, string | undefined>, declared: Set<string>) {
    this.#given = given;
    this.#global = global;
    this.#declaredAnywhere = declared;
  }

  declare(name: string, value: string | undefined): void {
    this.#declaredAnywhere.add(name);
    this.#defaults.set(name, value);
  }

  /** All that have a value, except those that ENV has given one. */
  values(environment: readonly string[]): Map<string, string> {
    const set = new Set(environment.map((entry) => entry.split("=", 1)[0]));
    const found = new Map<string, string>();
    for (const name of new Set([...this.#defaults.keys(), ...PREDEFINED])) {
      const value = this.#value(name);
      if (value !== undefined && !set.has(name)) found.set(name, value);
    }
    return found;
  }

  /** Whether an argument is part of what a RUN is known by. */
  counts(name: string): boolean {
    return this.#declaredAnywhere.has(name) || !IS_PREDEFINED.has(name);
  }

  #value(name: string): string | undefined {
    if (this.#given.has(name)) return this.#given.get(name) ?? this.#defaults.get(name);
    return this.#defaults.get(name) ?? (this.#defaults.has(name) ? this.#global.get(name) : undefined);
  }
}
