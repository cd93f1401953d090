import type { Flag } from "../arguments.ts";
import { checkLabel, checkVariable } from "./environment.ts";
import { checkCgroupRule, parseByteRate, parseCpus, parseGpus, parseOperationRate, parseUlimit, parseWeight } from "./devices.ts";
import { parseMount } from "./mounts.ts";
import { checkLink, checkNetwork } from "./networks.ts";
import { checkSysctl } from "./security.ts";
import { checkAddress, checkExtraHost, checkSearchDomain, parseDurationNs, parseSizeBytes, parseUnsigned } from "./values.ts";

/**
 * The flags of `run` and `create` that describe a container. What each means is in `container-options.ts`.
 */

const valid =
  (parse: (text: string) => unknown) =>
  (text: string): string => {
    parse(text);
    return text;
  };

const text = (name: string, usage: string, more: Partial<Flag> = {}): Flag => ({ name, kind: "text", value: "string", usage, ...more });
const list = (name: string, usage: string, more: Partial<Flag> = {}): Flag => ({ name, kind: "list", value: "list", usage, ...more });
const flag = (name: string, usage: string, more: Partial<Flag> = {}): Flag => ({ name, kind: "boolean", usage, ...more });
const integer = (name: string, usage: string, more: Partial<Flag> = {}): Flag => ({ name, kind: "integer", value: "int", usage, ...more });
const bytes = (name: string, usage: string, more: Partial<Flag> = {}): Flag =>
  text(name, usage, { value: "bytes", check: valid(parseSizeBytes), ...more });
const duration = (name: string, usage: string, more: Partial<Flag> = {}): Flag =>
  text(name, usage, { value: "duration", check: valid(parseDurationNs), ...more });

function checkStream(value: string): string {
  const name = value.toLowerCase();
  if (!["stdin", "stdout", "stderr"].includes(name)) throw new Error("valid streams are STDIN, STDOUT and STDERR");
  return name;
}

function checkSwap(value: string): string {
  return value === "-1" ? value : valid(parseSizeBytes)(value);
}

/** Sections of the help; what most containers need comes first, without one. */
const section = (title: string, flags: readonly Flag[]): Flag[] => flags.map((each) => ({ ...each, section: title }));

export const containerFlags: readonly Flag[] = [
  list("attach", "Streams to attach: stdin, stdout, stderr", { short: "a", check: checkStream }),
  text("cidfile", "Write the container's id to this file"),
  flag("disable-content-trust", "Accepted; images are verified by digest", { initial: "true", hidden: true }),
  list("dns-opt", "", { hidden: true, sameAs: "dns-option" }),
  text("entrypoint", "Program to run instead of the image's entry point"),
  list("env", "Environment variable (NAME=value, or NAME for the value it has here)", { short: "e", check: checkVariable }),
  list("env-file", "File of environment variables, one a line"),
  flag("init", "Run a small init that passes signals on and reaps processes"),
  flag("interactive", "Keep standard input open", { short: "i" }),
  list("label", "Label (key=value)", { short: "l", check: checkLabel }),
  list("label-file", "File of labels, one a line"),
  text("log-driver", "Where the output goes"),
  list("log-opt", "Option of the log driver (key=value)"),
  text("name", "Name of the container"),
  text("platform", "Platform of the image, such as linux/arm64", { since: "1.32" }),
  text("pull", "When to pull the image: always, missing, never", { initial: "missing" }),
  flag("quiet", "No output while pulling", { short: "q" }),
  text("restart", "When to start it again: no, always, unless-stopped, on-failure[:max]", { initial: "no" }),
  flag("rm", "Remove the container and its anonymous volumes when it ends"),
  text("stop-signal", "Signal that stops it"),
  integer("stop-timeout", "Seconds from that signal to SIGKILL"),
  flag("tty", "Give it a terminal", { short: "t" }),
  text("user", "User to run as (name|uid[:group|gid])", { short: "u" }),
  text("workdir", "Working directory", { short: "w" }),
  ...section("Files", [
    list("volume", "Bind mount or volume ([source:]target[:ro])", { short: "v" }),
    list("mount", "Mount, as fields joined by commas: type=bind|volume|tmpfs|image, source=…, target=…, readonly, …", {
      value: "mount",
      check: valid(parseMount),
    }),
    list("tmpfs", "Memory file system (/path[:options])"),
    list("volumes-from", "Take over the volumes of another container (name[:ro])"),
    text("volume-driver", "Driver for the container's volumes"),
    flag("read-only", "Read-only root file system"),
    bytes("shm-size", "Size of /dev/shm"),
    list("storage-opt", "Option of the storage driver (key=value)"),
  ]),
  ...section("Network", [
    list("publish", "Port to open on the host ([ip:][hostPort:]containerPort[/udp])", { short: "p" }),
    flag("publish-all", "Open every exposed port on a free port of the host", { short: "P" }),
    list("expose", "Port or range that the container listens on, without publishing it"),
    list("network", "Network to join: a name, bridge, host, none, container:NAME, or name=…,ip=…,alias=…", {
      value: "network",
      check: checkNetwork,
    }),
    list("net", "", { hidden: true, sameAs: "network", check: checkNetwork }),
    list("network-alias", "Another name of the container on its network"),
    list("net-alias", "", { hidden: true, sameAs: "network-alias" }),
    text("hostname", "Host name", { short: "h" }),
    text("domainname", "NIS domain name"),
    list("add-host", "Another name in the container's hosts file (name:ip; host-gateway for the host)", { check: checkExtraHost }),
    list("dns", "DNS servers to use", { check: checkAddress }),
    list("dns-search", "Search domains (resolv.conf)", { check: checkSearchDomain }),
    list("dns-option", "Resolver options (resolv.conf)"),
    text("ip", "IPv4 address"),
    text("ip6", "IPv6 address"),
    list("link-local-ip", "Link-local addresses"),
    text("mac-address", "MAC address"),
    list("link", "Another container, by name or name:alias", { check: checkLink }),
  ]),
  ...section("Limits", [
    bytes("memory", "Limit on memory, such as 200m or 1.5g", { short: "m" }),
    text("memory-swap", "Limit on memory and swap together, -1 for no limit on swap", { value: "bytes", check: checkSwap }),
    bytes("memory-reservation", "Memory the container is pushed back to when the host runs short"),
    integer("memory-swappiness", "How readily memory is swapped out, 0 to 100", { initial: "-1" }),
    bytes("kernel-memory", "Limit on kernel memory (ignored by present kernels)", { hidden: true }),
    flag("oom-kill-disable", "Do not kill it when its memory is used up"),
    integer("oom-score-adj", "How readily the kernel kills it when the host is out of memory, -1000 to 1000"),
    text("cpus", "Number of CPUs, such as 1.5", { value: "decimal", check: valid(parseCpus) }),
    integer("cpu-shares", "Relative weight for CPU time", { short: "c" }),
    text("cpuset-cpus", "CPUs it may run on (0-3, 0,1)"),
    text("cpuset-mems", "Memory nodes it may use (0-3, 0,1)"),
    integer("cpu-period", "Length of the CPU scheduler's period, in microseconds"),
    integer("cpu-quota", "CPU time in each period, in microseconds"),
    integer("cpu-rt-period", "Length of the real-time scheduler's period, in microseconds"),
    integer("cpu-rt-runtime", "Real-time CPU time in each period, in microseconds"),
    integer("cpu-count", "Number of CPUs (Windows only)", { hidden: true }),
    integer("cpu-percent", "Share of all CPUs in percent (Windows only)", { hidden: true }),
    integer("pids-limit", "Limit on processes, -1 for none"),
    list("ulimit", "Resource limit (name=soft[:hard])", { value: "ulimit", check: valid(parseUlimit) }),
    integer("blkio-weight", "Relative weight for block I/O, 10 to 1000, or 0 for none", {
      value: "uint16",
      kind: "text",
      check: valid((v) => parseUnsigned(v, 16)),
    }),
    list("blkio-weight-device", "Relative weight for one device (/dev/x:weight)", { check: valid(parseWeight) }),
    list("device-read-bps", "Limit on bytes read a second (/dev/x:1mb)", { check: valid(parseByteRate) }),
    list("device-read-iops", "Limit on reads a second (/dev/x:1000)", { check: valid(parseOperationRate) }),
    list("device-write-bps", "Limit on bytes written a second (/dev/x:1mb)", { check: valid(parseByteRate) }),
    list("device-write-iops", "Limit on writes a second (/dev/x:1000)", { check: valid(parseOperationRate) }),
    bytes("io-maxbandwidth", "Limit on system drive bandwidth (Windows only)", { hidden: true }),
    integer("io-maxiops", "Limit on system drive operations (Windows only)", { hidden: true }),
    text("cgroup-parent", "Cgroup to put the container's own into"),
  ]),
  ...section("Health", [
    text("health-cmd", "Command that says whether the container is healthy"),
    duration("health-interval", "Time between two checks"),
    duration("health-timeout", "Time one check may take"),
    integer("health-retries", "Failures in a row that make it unhealthy"),
    duration("health-start-period", "Time a container has to come up, in which failures do not count"),
    duration("health-start-interval", "Time between two checks during the start period", { since: "1.44" }),
    flag("no-healthcheck", "Leave out the image's health check"),
  ]),
  ...section("Isolation", [
    flag("privileged", "All capabilities and devices"),
    list("cap-add", "Linux capabilities to add"),
    list("cap-drop", "Linux capabilities to take away"),
    list("security-opt", "Security option: seccomp=FILE|unconfined, apparmor=…, label=…, no-new-privileges"),
    list("device", "Host device to give it (/dev/x[:/dev/y][:rwm])"),
    list("device-cgroup-rule", "Rule for devices that come later (type major:minor mode)", { check: checkCgroupRule }),
    text("gpus", "GPUs to give it ('all' for every one)", { value: "gpu-request", kind: "list", since: "1.40", check: valid(parseGpus) }),
    list("group-add", "Further groups for the container's process"),
    text("pid", "PID namespace: host, container:NAME"),
    text("ipc", "IPC namespace: private, shareable, host, none, container:NAME"),
    text("uts", "UTS namespace: host"),
    text("userns", "User namespace: host"),
    text("cgroupns", "Cgroup namespace: host, or private to the container", { since: "1.41" }),
    list("sysctl", "Sysctl of the container's namespaces (key=value)", { value: "map", check: checkSysctl }),
    text("runtime", "OCI runtime"),
    list("annotation", "Annotation passed on to the OCI runtime (key=value)", { value: "map", since: "1.43" }),
    text("isolation", "Isolation technology (Windows only)", { hidden: true }),
  ]),
];
