/** A platform, `os[/arch[/variant]]`, as the Engine API takes it in queries. */
type Platform = { readonly os: string; readonly architecture?: string; readonly variant?: string };

const ARCHITECTURES: Readonly<Record<string, string>> = { x86_64: "amd64", "x86-64": "amd64", aarch64: "arm64", i386: "386" };

function parsePlatform(text: string): Platform {
  const parts = text.trim().toLowerCase().split("/");
  const [os = "", architecture, variant] = parts;
  if (parts.length > 3 || !parts.every((part) => /^[a-z0-9_.-]+$/.test(part)))
    throw new Error(`${JSON.stringify(text)} is no platform: it is os[/arch[/variant]], such as linux/arm64`);
  return { os, ...(architecture && { architecture: ARCHITECTURES[architecture] ?? architecture }), ...(variant && { variant }) };
}

export function encodePlatform(text: string): string {
  return JSON.stringify(parsePlatform(text));
}
