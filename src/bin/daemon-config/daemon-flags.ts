import type { Flag } from "./flag-grammar.ts";
import { PROTECTION_FLAGS } from "./protections.ts";

/**
 * Every flag of dockerd 28 and what becomes of it here: it has a meaning (`help`), or it is accepted, for the sake of start scripts
 * and config files written for dockerd, with a note that says why it changes nothing (`without`), unless it asks for a protection that is
 * not there (protections.ts): then the daemon does not start.
 */
export type DaemonFlag = Flag & {
  /** The key in the config file, where it is not the flag's name. */
  key?: string;
  /** What stands for the value in the help text. */
  value?: string;
} & ({ group: string; help: string } | { without: string });

const GROUPS = {
  places: "Where things are",
  api: "The API",
  network: "The default network",
  registries: "Registries",
  containers: "Defaults for containers",
  logs: "Logs",
};

export const DAEMON_FLAGS: readonly DaemonFlag[] = [
  flag("data-root", "string", "places", "Images, containers, volumes and their database (default /var/lib/tsubo)", { value: "PATH" }),
  flag("exec-root", "string", "places", "Sockets, pid file, mount points of what runs; gone with a reboot (default /run/tsubo)", {
    value: "PATH",
  }),
  flag("storage-driver", "string", "places", "How layers are kept: overlay2 or vfs (default: as the data root has them, else overlay2)", {
    short: "s",
    value: "NAME",
  }),
  flag("pidfile", "string", "places", "File with the daemon's process id (default EXEC-ROOT/tsubo.pid)", { short: "p", value: "PATH" }),
  flag("config-file", "string", "places", "JSON file with dockerd's keys (default /etc/tsubo/daemon.json, if it is there)", {
    value: "PATH",
  }),

  flag(
    "host",
    "list",
    "api",
    "Address to listen on, may be repeated: unix://PATH or tcp://HOST:PORT (default unix://EXEC-ROOT/tsubo.sock)",
    {
      short: "H",
      key: "hosts",
      value: "ADDRESS",
    },
  ),
  flag("group", "string", "api", "Group that may use the unix sockets (default docker, where there is one)", { short: "G", value: "NAME" }),
  flag("label", "list", "api", "Label of the daemon, shown by `info`; may be repeated", { key: "labels", value: "KEY=VALUE" }),
  flag("shutdown-timeout", "integer", "api", "Seconds that requests under way have to end when the daemon stops (default 15)", {
    value: "SECONDS",
  }),

  flag("bridge", "string", "network", "Bridge of the default network, made when it is missing (default tsubo0)", {
    short: "b",
    value: "NAME",
  }),
  flag("bip", "string", "network", "Address and subnet of the bridge, such as 172.29.0.1/16 (default: a free one)", { value: "CIDR" }),
  flag("fixed-cidr", "string", "network", "Part of that subnet that containers get addresses of (default: all of it)", { value: "CIDR" }),
  flag("ipv6", "boolean", "network", "Give it IPv6 too"),
  flag("bip6", "string", "network", "IPv6 address and subnet of the bridge, such as fd00:29::1/64", { value: "CIDR" }),
  flag("fixed-cidr-v6", "string", "network", "IPv6 subnet, or the part of it for containers (default: a local one)", { value: "CIDR" }),
  flag("icc", "boolean", "network", "Containers on it reach each other; with =false only where they are linked (default true)"),
  flag("ip-masq", "boolean", "network", "Containers leave the host with its address (default true)"),
  flag("mtu", "integer", "network", "MTU of the default network (default 1500)", { value: "BYTES" }),
  flag("ip", "string", "network", "Host address that ports are published on when `-p` names none (default: all)", { value: "ADDRESS" }),
  flag(
    "default-address-pool",
    "list",
    "network",
    "Subnets for networks that name none; may be repeated (default 172.17–172.31 by 16, 192.168 by 20)",
    { key: "default-address-pools", value: "base=CIDR,size=LENGTH" },
  ),
  flag("dns", "list", "network", "DNS server for containers; may be repeated (default: the host's)", { value: "ADDRESS" }),
  flag("dns-opt", "list", "network", "Option for their resolv.conf; may be repeated", { key: "dns-opts", value: "OPTION" }),
  flag("dns-search", "list", "network", "Search domain for them; may be repeated", { value: "DOMAIN" }),

  flag(
    "insecure-registry",
    "list",
    "registries",
    "HOST[:PORT] or CIDR that may be spoken to over http or with an unknown certificate; may be repeated",
    {
      key: "insecure-registries",
      value: "REGISTRY",
    },
  ),
  flag("registry-mirror", "list", "registries", "Address that is asked before docker.io; may be repeated", {
    key: "registry-mirrors",
    value: "URL",
  }),
  flag("max-concurrent-downloads", "integer", "registries", "Layers fetched at a time (default 3)", { value: "N" }),
  flag("max-concurrent-uploads", "integer", "registries", "Layers sent at a time (default 5)", { value: "N" }),
  flag("max-download-attempts", "integer", "registries", "Tries per layer (default 5)", { value: "N" }),

  flag(
    "add-runtime",
    "list",
    "containers",
    "OCI runtime that `run --runtime NAME` may use; may be repeated (crun and runc are found on the PATH)",
    {
      key: "runtimes",
      value: "NAME=PATH",
    },
  ),
  flag("default-runtime", "string", "containers", "Runtime of a container that names none (default crun, else runc)", { value: "NAME" }),
  flag("default-ulimit", "list", "containers", "Resource limit, such as nofile=1024:4096; may be repeated", {
    key: "default-ulimits",
    value: "NAME=SOFT[:HARD]",
  }),
  flag("cgroup-parent", "string", "containers", "cgroup under which containers get theirs (default /tsubo)", { value: "PATH" }),
  flag("init", "boolean", "containers", "Run an init in every container that forwards signals and reaps"),
  flag("init-path", "string", "containers", "Path of that init", { value: "PATH" }),
  flag("default-shm-size", "string", "containers", "Size of /dev/shm (default 64MiB)", { value: "SIZE" }),
  flag("default-ipc-mode", "string", "containers", "private or shareable (default private)", { value: "MODE" }),
  flag("default-cgroupns-mode", "string", "containers", "host or private (default: private on cgroup v2, host on v1)", { value: "MODE" }),
  flag("no-new-privileges", "boolean", "containers", "Set no-new-privileges on every container"),
  flag("seccomp-profile", "string", "containers", "File with a seccomp profile, `builtin` or `unconfined` (default builtin)", {
    value: "PATH",
  }),

  flag("log-driver", "string", "logs", "Where containers' output goes: json-file or none (default json-file)", { value: "NAME" }),
  flag(
    "log-opt",
    "list",
    "logs",
    "Option of the log driver, such as max-size=10m; may be repeated (default: what fits in 30 MB, compressed)",
    {
      key: "log-opts",
      value: "NAME=VALUE",
    },
  ),
  flag("log-level", "string", "logs", "What the daemon itself says: debug, info, warn, error or fatal (default info)", {
    short: "l",
    value: "LEVEL",
  }),
  flag("debug", "boolean", "logs", "The same as --log-level debug", { short: "D" }),

  ignored("allow-direct-routing", "boolean", "containers are reached by their published ports"),
  ignored("allow-nondistributable-artifacts", "list", "such layers are pushed like any other"),
  ignored("api-cors-header", "string", "the API answers no browser of another origin"),
  ignored("authorization-plugin", "list", "there are no authorization plugins yet", "authorization-plugins"),
  ignored("cdi-spec-dir", "list", "there are no CDI devices yet", "cdi-spec-dirs"),
  ignored("containerd", "string", "there is no containerd"),
  ignored("containerd-namespace", "string", "there is no containerd"),
  ignored("containerd-plugins-namespace", "string", "there is no containerd", "containerd-plugin-namespace"),
  ignored("cpu-rt-period", "integer", "real-time limits are set per container"),
  ignored("cpu-rt-runtime", "integer", "real-time limits are set per container"),
  ignored("cri-containerd", "boolean", "there is no containerd"),
  ignored("default-gateway", "string", "the bridge is the gateway"),
  ignored("default-gateway-v6", "string", "the bridge is the gateway"),
  ignored("default-network-opt", "list", "networks have no daemon-wide options yet", "default-network-opts"),
  ignored("exec-opt", "list", "cgroups are managed directly (native.cgroupdriver=cgroupfs)", "exec-opts"),
  ignored("experimental", "boolean", "there are no experimental features"),
  ignored("feature", "list", "there are no features to switch", "features"),
  ignored("host-gateway-ip", "list", "host-gateway is the address of the bridge", "host-gateway-ips"),
  ignored("http-proxy", "string", "set HTTP_PROXY in the daemon's environment"),
  ignored("https-proxy", "string", "set HTTPS_PROXY in the daemon's environment"),
  ignored("ip-forward", "boolean", "forwarding is switched on where a network needs it"),
  ignored("ip-forward-no-drop", "boolean", "the policy of the forward chain is never changed"),
  ignored("ip6tables", "boolean", "the firewall is nftables, in a table of its own"),
  ignored("iptables", "boolean", "the firewall is nftables, in a table of its own"),
  ignored("live-restore", "boolean", "containers always outlive the daemon"),
  ignored("log-format", "string", "the daemon's log is JSON"),
  ignored("metrics-addr", "string", "there are no metrics yet"),
  ignored("network-control-plane-mtu", "integer", "there is no swarm"),
  ignored("network-diagnostic-port", "integer", "there is no swarm"),
  ignored("no-proxy", "string", "set NO_PROXY in the daemon's environment"),
  ignored("node-generic-resource", "list", "there is no swarm", "node-generic-resources"),
  ignored("raw-logs", "boolean", "the daemon's log has no colours"),
  ignored("restart", "boolean", "containers have restart policies"),
  ignored("rootless", "boolean", "the daemon runs as root"),
  ignored("selinux-enabled", "boolean", "SELinux labels are not set"),
  ignored("storage-opt", "list", "the storage drivers have no options", "storage-opts"),
  ignored("swarm-default-advertise-addr", "string", "there is no swarm"),
  ignored("tls", "boolean", "the API has no TLS yet"),
  ignored("tlscacert", "string", "the API has no TLS yet"),
  ignored("tlscert", "string", "the API has no TLS yet"),
  ignored("tlskey", "string", "the API has no TLS yet"),
  ignored("tlsverify", "boolean", "the API has no TLS yet"),
  ignored("userland-proxy", "boolean", "published ports need no proxy but on ::1"),
  ignored("userland-proxy-path", "string", "published ports need no proxy but on ::1"),
  ignored("userns-remap", "string", "user namespaces are not remapped yet"),
];

/** Flags of the program itself: they stand in no config file. */
export const PROGRAM_FLAGS: readonly Flag[] = [
  { name: "help", short: "h", kind: "boolean" },
  { name: "version", short: "v", kind: "boolean" },
  { name: "validate", kind: "boolean" },
];

/** Keys that only the config file of dockerd has, and why they change nothing, if they do not. */
export const FILE_ONLY_KEYS: ReadonlyMap<string, string | undefined> = new Map([
  ["builder", undefined],
  ["default-init", "see --init-path"],
  ["deprecated-key-path", "the daemon has no key"],
  ["resolv-conf", "the host's resolver is found by itself"],
  ["swarm-raft-heartbeat-tick", "there is no swarm"],
  ["swarm-raft-election-tick", "there is no swarm"],
]);

export function keyOf(flag: DaemonFlag): string {
  return flag.key ?? flag.name;
}

export function helpText(): string {
  const sections = Object.values(GROUPS).map((group) => {
    const lines = DAEMON_FLAGS.flatMap((entry) => ("group" in entry && entry.group === group ? [helpLine(entry, entry.help)] : []));
    return [`${group}:`, ...lines].join("\n");
  });
  const withoutMeaning = DAEMON_FLAGS.filter((entry) => "without" in entry && !PROTECTION_FLAGS.includes(entry.name));
  return `
Usage:  tsubod [OPTIONS]

The daemon of Tsubo: containers, images, networks and volumes behind the Docker Engine API.

${sections.join("\n\n")}

Other:
${helpLine({ name: "validate", kind: "boolean" }, "Check flags and config file, then exit")}
${helpLine({ name: "version", short: "v", kind: "boolean" }, "Print the version and exit")}
${helpLine({ name: "help", short: "h", kind: "boolean" }, "Print this and exit")}

A key of the config file is the flag's name, in the plural where the flag may be repeated ("hosts", "labels", "log-opts"); what stands
in the file may not be given as a flag too. Taken for dockerd's sake, but without effect:
${wrap(withoutMeaning.map(({ name }) => name).join(", "), 118, "  ")}
Refused where they ask for a protection that is not there yet:
${wrap(PROTECTION_FLAGS.join(", "), 118, "  ")}

Try it:  tsubod --data-root /tmp/t/data --exec-root /tmp/t/run &  tsubo -H unix:///tmp/t/run/tsubo.sock run --rm busybox echo hi
`.trimStart();
}

const HELP_COLUMN = 38;

function helpLine({ name, short, value }: Flag & { value?: string }, help: string): string {
  const left = `  ${short === undefined ? "   " : `-${short},`} --${name}${value === undefined ? "" : ` ${value}`}`;
  const [first = "", ...more] = wrap(help, 120 - HELP_COLUMN, "").split("\n");
  const indented = more.map((line) => " ".repeat(HELP_COLUMN) + line);
  return [left.length < HELP_COLUMN - 1 ? left.padEnd(HELP_COLUMN) + first : `${left}  ${first}`, ...indented].join("\n");
}

function wrap(text: string, width: number, indent: string): string {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(indent + line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, indent + line].join("\n");
}

function flag(name: string, kind: Flag["kind"], group: keyof typeof GROUPS, help: string, more: Partial<DaemonFlag> = {}): DaemonFlag {
  return { name, kind, group: GROUPS[group], help, ...more };
}

function ignored(name: string, kind: Flag["kind"], without: string, key = name): DaemonFlag {
  return { name, kind, without, key };
}
