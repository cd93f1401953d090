import type { Inspected } from "../output/inspection.ts";
import { isNotFound } from "../failure.ts";
import { segment, type Client, type Query } from "./client.ts";

/** The kinds of things that `inspect` knows: where the engine has them, and the struct of its answer. */
const KINDS = {
  container: { path: (name: string) => `/containers/${name}/json`, struct: "Container" },
  image: { path: (name: string) => `/images/${name}/json`, struct: "Image" },
  network: { path: (name: string) => `/networks/${name}`, struct: "Network" },
  volume: { path: (name: string) => `/volumes/${name}`, struct: "Volume" },
  service: { path: (name: string) => `/services/${name}`, struct: "Empty" },
  task: { path: (name: string) => `/tasks/${name}`, struct: "Empty" },
  node: { path: (name: string) => `/nodes/${name}`, struct: "Empty" },
  plugin: { path: (name: string) => `/plugins/${name}/json`, struct: "Empty" },
  secret: { path: (name: string) => `/secrets/${name}`, struct: "Empty" },
  config: { path: (name: string) => `/configs/${name}`, struct: "Empty" },
} as const;

export type Kind = keyof typeof KINDS;

export const kindNames: readonly string[] = Object.keys(KINDS).sort();

/** Looked for in this order where no kind is named. */
const SEARCHED: readonly Kind[] = ["container", "image", "network", "volume", "plugin"];

export async function inspectOne(client: Client, kind: Kind, name: string, query: Query = {}): Promise<Inspected> {
  if (name.trim() === "") throw new Error(`invalid ${kind} name or ID: value is empty`);
  const { path, struct } = KINDS[kind];
  return { text: await client.text("GET", path(segment(name)), { query }), struct };
}

/** The first thing of any kind that goes by this name. */
export async function inspectAny(client: Client, name: string, { size }: { size: boolean }): Promise<Inspected> {
  for (const kind of SEARCHED) {
    try {
      return await inspectOne(client, kind, name, kind === "container" && size ? { size } : {});
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
  throw new Error(`Error: No such object: ${name}`);
}
