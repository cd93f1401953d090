import type { Command } from "../command.ts";
import { API_VERSION } from "../engine/client.ts";
import { inspectFormatFlag } from "../output/format-flag.ts";
import { print } from "../output/print.ts";
import { layOut } from "../output/table.ts";
import { BUILD, VERSION } from "../version.ts";

type Details = Readonly<Record<string, string>>;
type Component = { readonly Name: string; readonly Version: string; readonly Details?: Details | null };
type ServerVersion = Readonly<Record<string, unknown>> & { Components?: Component[] | null; readonly Platform?: { readonly Name: string } };

const LABEL_WIDTH = 20;

export const command: Command = {
  usage: "[OPTIONS]",
  arguments: { min: 0, max: 0 },
  flags: [inspectFormatFlag],
  examples: [["version --format '{{.Server.Version}}'", "one number"]],
  async run({ client, flags }) {
    const format = flags.text("format");
    const printer = format === "" ? undefined : await openPrinter(format);
    const [server, failure] = await client.json<ServerVersion>("GET", "/version").then(
      (answer) => [answer, undefined] as const,
      (error: unknown) => [undefined, error] as const,
    );
    const apiVersion = await client.version().catch(() => API_VERSION);
    const ours = {
      Version: VERSION,
      ApiVersion: apiVersion,
      DefaultAPIVersion: API_VERSION,
      GitCommit: BUILD,
      GoVersion: `node ${process.version}`,
      Os: process.platform,
      Arch: process.arch === "x64" ? "amd64" : process.arch,
      BuildTime: "",
      Context: "default",
    };
    if (server !== undefined) server.Components = withEngine(server);
    if (printer === undefined) print(layOut(`${clientText(ours)}${server === undefined ? "" : serverText(server)}\n`, LABEL_WIDTH, 1));
    else {
      try {
        print(printer({ Client: { ...ours, Platform: { Name: "Tsubo" } }, Server: server ?? null }));
      } finally {
        print("\n");
      }
    }
    if (failure !== undefined) throw failure;
  },
};

/** Templates are loaded only when there is one. */
async function openPrinter(format: string): Promise<(data: unknown) => string> {
  const { compileOne } = await import("../output/inspection.ts");
  const { structType } = await import("../templates/go-structs.ts");
  const template = compileOne(format === "json" ? "{{json .}}" : format, "version");
  return (value) => template.execute({ type: structType("VersionInfo"), value });
}

/** The engine's own entry is made up where an old engine has no list of components. */
function withEngine(server: ServerVersion): Component[] {
  const known = server.Components ?? [];
  const text = (key: string): string => {
    const value = server[key];
    return typeof value === "string" ? value : "";
  };
  const engine = {
    Name: "Engine",
    Version: text("Version"),
    Details: {
      ApiVersion: text("ApiVersion"),
      MinAPIVersion: text("MinAPIVersion"),
      GitCommit: text("GitCommit"),
      GoVersion: text("GoVersion"),
      Os: text("Os"),
      Arch: text("Arch"),
      BuildTime: text("BuildTime"),
      Experimental: String(server["Experimental"] === true),
    },
  };
  const all = known.some(({ Name }) => Name === "Engine") ? known : [...known, engine];
  return all.map((component) =>
    component.Name === "Engine" && component.Details?.["BuildTime"] !== undefined
      ? { ...component, Details: { ...component.Details, BuildTime: buildTime(component.Details["BuildTime"]) } }
      : component,
  );
}

function clientText(ours: Readonly<Record<string, string>>): string {
  const { Version: version, ApiVersion: api, DefaultAPIVersion: own } = ours;
  return [
    "Client: Tsubo",
    ` Version:\t${version}`,
    ` API version:\t${api}${api === own ? "" : ` (downgraded from ${own})`}`,
    ` Node version:\t${process.version}`,
    ` Git commit:\t${ours["GitCommit"]}`,
    ` OS/Arch:\t${ours["Os"]}/${ours["Arch"]}`,
    ` Context:\t${ours["Context"]}`,
  ].join("\n");
}

function serverText(server: ServerVersion): string {
  const name = server.Platform?.Name ?? "";
  return ["", "", `Server:${name === "" ? "" : ` ${name}`}`, ...(server.Components ?? []).flatMap(componentLines)].join("\n");
}

function componentLines({ Name: name, Version: version, Details: given }: Component): string[] {
  const details = given ?? {};
  const of = (key: string): string => details[key] ?? "";
  if (name !== "Engine")
    return [
      ` ${name}:`,
      `  Version:\t${version}`,
      ...Object.keys(details)
        .sort()
        .map((key) => `  ${key}:\t${of(key)}`),
    ];
  return [
    " Engine:",
    `  Version:\t${version}`,
    `  API version:\t${of("ApiVersion")} (minimum version ${of("MinAPIVersion")})`,
    `  Go version:\t${of("GoVersion")}`,
    `  Git commit:\t${of("GitCommit")}`,
    `  Built:\t${of("BuildTime")}`,
    `  OS/Arch:\t${of("Os")}/${of("Arch")}`,
    `  Experimental:\t${of("Experimental")}`,
  ];
}

/** `Fri May 30 12:07:14 2025`. */
function buildTime(text: string): string {
  const date = new Date(text);
  if (!/^\d{4}-\d\d-\d\dT/.test(text) || Number.isNaN(date.getTime())) return text;
  const [week, day = "", month, year, clock] = date.toUTCString().replace(",", "").split(" ");
  return `${week} ${month} ${String(Number(day)).padStart(2)} ${clock} ${year}`;
}
