/** What a host must let us do before it can run a container; each is tried, not guessed. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import path from "node:path";

import { onPath } from "./packages.mjs";

/** Gives back what is missing, a line each with the way out; empty where containers can run. `folder`: where the data would be. */
export function missingCapabilities(folder) {
  if (process.platform !== "linux") return [`Linux: this is ${process.platform}; run Tsubo in a Linux machine or virtual machine`];
  if (process.getuid?.() !== 0) return ["root: containers need it; run the same command with sudo or as root"];
  const checks = [
    {
      what: "namespaces",
      holds: () => succeeds("unshare", ["--mount", "--uts", "--ipc", "--pid", "--net", "--fork", "true"]),
      wayOut: "the kernel or an outer container refuses to make them; run on the host itself, or give the outer container --privileged",
    },
    {
      what: "overlay file systems",
      holds: () => canMountOverlay(folder),
      wayOut: `mounting one in ${folder} failed; load the module (modprobe overlay), or put --data-root on a disk with ext4 or xfs`,
    },
    {
      what: "cgroups",
      holds: canMakeCgroup,
      wayOut:
        "no cgroup hierarchy below /sys/fs/cgroup can be written; mount one, or give the outer container --cgroupns=host and a writable /sys/fs/cgroup",
    },
    {
      what: "nftables",
      holds: () => succeeds(onPath("nft") ?? "nft", ["list", "tables"]),
      wayOut: "`nft list tables` fails; install nftables, or load the kernel module nf_tables",
    },
    {
      what: "an OCI runtime",
      holds: () => [onPath("crun"), onPath("runc")].some((runtime) => runtime !== undefined && succeeds(runtime, ["--version"])),
      wayOut: "neither crun nor runc runs; install one of them",
    },
  ];
  return checks.filter(({ holds }) => !holds()).map(({ what, wayOut }) => `${what}: ${wayOut}`);
}

function canMountOverlay(parent) {
  mkdirSync(parent, { recursive: true });
  const folder = mkdtempSync(path.join(parent, ".overlay-"));
  try {
    for (const name of ["lower", "upper", "work", "merged"]) mkdirSync(path.join(folder, name));
    // In a mount namespace of its own, so that it is gone with the process.
    const mount = ["mount", "-t", "overlay", "-o", "lowerdir=lower,upperdir=upper,workdir=work", "overlay", "merged"];
    return spawnSync("unshare", ["--mount", ...mount], { cwd: folder, stdio: "ignore" }).status === 0;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function canMakeCgroup() {
  const hierarchies = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([, , type]) => type === "cgroup2" || type === "cgroup");
  return hierarchies.some(([, target]) => {
    const folder = path.join(target, `tsubo-check-${process.pid}`);
    try {
      mkdirSync(folder);
      rmdirSync(folder);
      return true;
    } catch {
      return false;
    }
  });
}

function succeeds(program, args) {
  return spawnSync(program, args, { stdio: "ignore" }).status === 0;
}
