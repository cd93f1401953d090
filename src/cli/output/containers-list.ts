import { familiarName, parseReference } from "../reference.ts";
import { quote } from "../templates/printf.ts";
import type { Row } from "../templates/go-values.ts";
import type { List } from "./list.ts";
import { ellipsis } from "./table.ts";
import { formatAgo, formatLocalTime, formatSize } from "./units.ts";

/** The rows of `ps`. */

export type PortSummary = { readonly IP?: string; readonly PrivatePort: number; readonly PublicPort?: number; readonly Type: string };

/** What we read of `GET /containers/json`. */
export type ContainerSummary = {
  readonly Id: string;
  readonly Names: readonly string[] | null;
  readonly Image: string;
  readonly ImageID: string;
  readonly Command: string;
  readonly Created: number;
  readonly Ports: readonly PortSummary[] | null;
  readonly SizeRw?: number;
  readonly SizeRootFs?: number;
  readonly Labels: Readonly<Record<string, string>> | null;
  readonly State: string;
  readonly Status: string;
  readonly NetworkSettings?: { readonly Networks: Readonly<Record<string, unknown>> | null } | null;
  readonly Mounts?: readonly { readonly Name?: string; readonly Source: string; readonly Driver?: string }[] | null;
  readonly ImageManifestDescriptor?: { readonly platform?: unknown } | null;
};

export const CONTAINER_ROW = "*formatter.ContainerContext";
const COMMAND_WIDTH = 20;
const MOUNT_WIDTH = 15;

const headings = {
  ID: "CONTAINER ID",
  Names: "NAMES",
  Image: "IMAGE",
  Command: "COMMAND",
  CreatedAt: "CREATED AT",
  RunningFor: "CREATED",
  Ports: "PORTS",
  State: "STATE",
  Status: "STATUS",
  Size: "SIZE",
  Labels: "LABELS",
  Mounts: "MOUNTS",
  LocalVolumes: "LOCAL VOLUMES",
  Networks: "NETWORKS",
  Platform: "PLATFORM",
};

export function containerList(containers: readonly ContainerSummary[], truncate: boolean): List {
  return { rowType: CONTAINER_ROW, headings, rows: containers.map((container) => containerRow(container, truncate)) };
}

/** One container's columns. `onSize` hears that the size was asked for. */
export function containerRow(container: ContainerSummary, truncate: boolean, onSize: () => void = () => undefined): Row {
  const labels = container.Labels ?? {};
  return {
    ID: () => (truncate ? container.Id.slice(0, 12) : container.Id),
    Names: () => names(container.Names ?? [], truncate),
    Image: () => imageName(container, truncate),
    Command: () => quote(truncate ? ellipsis(container.Command, COMMAND_WIDTH) : container.Command),
    CreatedAt: () => formatLocalTime(container.Created),
    RunningFor: () => formatAgo(container.Created),
    Ports: () => formatPorts(container.Ports ?? []),
    State: () => container.State,
    Status: () => container.Status,
    Size: () => {
      onSize();
      const own = formatSize(container.SizeRw ?? 0, 3);
      return (container.SizeRootFs ?? 0) > 0 ? `${own} (virtual ${formatSize(container.SizeRootFs ?? 0, 3)})` : own;
    },
    Labels: () => formatLabels(labels),
    Label: (name: string) => labels[name] ?? "",
    Mounts: () =>
      (container.Mounts ?? [])
        .map(({ Name, Source }) => Name || Source)
        .map((name) => (truncate ? ellipsis(name, MOUNT_WIDTH) : name))
        .join(","),
    LocalVolumes: () => String((container.Mounts ?? []).filter(({ Driver }) => Driver === "local").length),
    Networks: () => Object.keys(container.NetworkSettings?.Networks ?? {}).join(","),
    Platform: () => container.ImageManifestDescriptor?.platform ?? null,
  };
}

export function formatLabels(labels: Readonly<Record<string, string>> | null): string {
  return Object.entries(labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(",");
}

function names(all: readonly string[], truncate: boolean): string {
  const plain = all.map((name) => name.slice(1));
  // A linked container has names of the form /other/alias too.
  const own = truncate ? plain.find((name) => !name.includes("/")) : undefined;
  return own ?? plain.join(",");
}

function imageName({ Image: image, ImageID: id }: ContainerSummary, truncate: boolean): string {
  if (image === "") return "<no image>";
  if (!truncate) return image;
  const short = (text: string): string => text.replace(/^sha256:/, "").slice(0, 12);
  if (short(id) === short(image)) return short(id);
  try {
    const reference = parseReference(image);
    return familiarName(reference) + (reference.tag === undefined ? "" : `:${reference.tag}`);
  } catch {
    return image;
  }
}

/** Ports of the same address in a row become a range; a port published under another number stands alone, after the others. */
export function formatPorts(ports: readonly PortSummary[]): string {
  const sorted = ports.toSorted(
    (a, b) =>
      a.PrivatePort - b.PrivatePort ||
      compare(a.IP ?? "", b.IP ?? "") ||
      (a.PublicPort ?? 0) - (b.PublicPort ?? 0) ||
      compare(a.Type, b.Type),
  );
  const open = new Map<string, { first: number; last: number }>();
  const done: string[] = [];
  const mapped: string[] = [];
  for (const { IP: ip = "", PrivatePort: port, PublicPort: published, Type: type } of sorted) {
    if (ip !== "" && published !== port) {
      mapped.push(`${hostPort(ip, String(published ?? 0))}->${port}/${type}`);
      continue;
    }
    const key = ip === "" ? type : `${ip}/${type}`;
    const range = open.get(key);
    if (range !== undefined && port === range.last + 1) range.last = port;
    else {
      if (range !== undefined) done.push(formatRange(key, range));
      open.set(key, { first: port, last: port });
    }
  }
  return [...done, ...[...open].map(([key, range]) => formatRange(key, range)), ...mapped].join(", ");
}

function formatRange(key: string, { first, last }: { first: number; last: number }): string {
  const slash = key.lastIndexOf("/");
  const type = key.slice(slash + 1);
  const range = first === last ? String(first) : `${first}-${last}`;
  return slash === -1 ? `${range}/${type}` : `${hostPort(key.slice(0, slash), range)}->${range}/${type}`;
}

export function hostPort(host: string, port: string): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
