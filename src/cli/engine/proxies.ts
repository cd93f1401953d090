import type { Call } from "../command.ts";
import { cut } from "../options/values.ts";

const VARIABLES = {
  httpProxy: "HTTP_PROXY",
  httpsProxy: "HTTPS_PROXY",
  noProxy: "NO_PROXY",
  ftpProxy: "FTP_PROXY",
  allProxy: "ALL_PROXY",
} as const;

/** Variables that the `proxies` of config.json give every new container and build, but for those in `set`: each in both cases. */
export function proxyVariables({ client, config }: Pick<Call, "client" | "config">, set: readonly string[]): string[] {
  const settings = config.proxies[client.host.url] ?? config.proxies["default"];
  if (settings === undefined) return [];
  const given = new Set(set.map((variable) => cut(variable, "=")[0]));
  return Object.entries(VARIABLES).flatMap(([key, name]) => {
    const value = settings[key];
    return value === undefined || value === ""
      ? []
      : [name, name.toLowerCase()].filter((each) => !given.has(each)).map((each) => `${each}=${value}`);
  });
}
