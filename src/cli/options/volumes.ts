import path from "node:path";

/**
 * `-v [source:]target[:options]`. With a source it is a bind (a path) or a named volume, passed to the engine as written but for a relative
 * path, which starts with a dot and becomes absolute; without one it is an anonymous volume of the container's configuration.
 */
export function parseVolumes(specs: readonly string[]): { binds: string[]; volumes: Record<string, object> } {
  const binds: string[] = [];
  const volumes: Record<string, object> = {};
  for (const spec of new Set(specs)) {
    if (!hasSource(spec)) {
      volumes[spec] = {};
      continue;
    }
    const colon = spec.indexOf(":");
    const source = spec.slice(0, colon);
    binds.push(source.startsWith(".") ? `${path.resolve(source)}${spec.slice(colon)}` : spec);
  }
  return { binds, volumes };
}

/** Checks the form as the Docker CLI does; what the parts mean is the engine's to say. */
function hasSource(spec: string): boolean {
  if (spec === "") throw new Error("invalid empty volume spec");
  if (spec.length <= 2) return false;
  const parts = splitParts(spec);
  if (parts.includes("")) throw new Error(`invalid spec: ${spec}: empty section between colons`);
  if (parts.length > 3) throw new Error(`invalid spec: ${spec}: too many colons`);
  return parts.length > 1;
}

/** A single letter before a colon is taken for a Windows drive and stays with what follows. */
function splitParts(spec: string): string[] {
  const parts: string[] = [];
  for (const part of spec.split(":")) {
    const before = parts.at(-1);
    if (before !== undefined && /^\p{L}$/u.test(before)) parts[parts.length - 1] = `${before}:${part}`;
    else parts.push(part);
  }
  return parts;
}
