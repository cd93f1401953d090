/**
 * System packages: which ones are needed, which are missing, and their installation by apt. Each is asked for by what it brings, so that
 * a machine that has it from elsewhere is left alone.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, existsSync, openSync, readdirSync, readSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";

const APT_LOCK_TIMEOUT_S = 300;

/** To run containers. */
const TO_RUN = [
  { names: ["crun"], has: () => onPath("crun") },
  { names: ["runc"], has: () => onPath("runc") },
  { names: ["nftables"], has: () => onPath("nft") },
  { names: ["libnftables1"], has: () => sharedLibrary("libnftables.so.1") },
  { names: ["busybox-static"], has: () => isStatic(onPath("busybox")) },
  // For `docker top`.
  { names: ["procps"], has: () => onPath("ps") },
  // Makes gzip layers about three times faster; zlib does it too.
  { names: ["isal"], has: () => onPath("igzip"), optional: true },
];

/** To run the tests. Tests that find one missing are skipped. */
const TO_TEST = [
  // Debian 13 has the client apart; on 12 it comes with the engine, whose service is not wanted.
  { names: ["docker-cli", "docker.io"], has: () => onPath("docker"), optional: true },
  { names: ["docker-registry"], has: () => onPath("docker-registry"), optional: true },
  { names: ["skopeo"], has: () => onPath("skopeo"), optional: true },
  { names: ["docker-compose"], has: () => onPath("docker-compose"), optional: true },
  { names: ["umoci"], has: () => onPath("umoci"), optional: true },
  { names: ["mmdebstrap"], has: () => onPath("mmdebstrap"), optional: true },
  { names: ["openssl"], has: () => onPath("openssl"), optional: true },
  { names: ["apache2-utils"], has: () => onPath("htpasswd"), optional: true },
  { names: ["curl"], has: () => onPath("curl") },
  { names: ["iproute2"], has: () => onPath("ip") },
];

/** Services that packages for tests would start, and that nobody asked for. */
const UNWANTED_SERVICES = ["docker.service", "docker.socket", "containerd.service", "docker-registry.service"];

/**
 * Installs what is missing. Gives back the names of what was installed. Throws with the line to run as root where it cannot, unless all
 * that is missing is optional.
 */
export function ensurePackages({ forTests, say }) {
  const missing = [...TO_RUN, ...(forTests ? TO_TEST : [])].filter(({ has }) => !has());
  if (missing.length === 0) return [];
  const needed = missing.filter(({ optional }) => !optional);
  const list = missing.map(({ names }) => names.at(-1)).join(" ");
  if (!onPath("apt-get")) {
    if (needed.length === 0) return [];
    throw new Error(`this is no Debian: install these with the system's own package manager, then run this again: ${list}`);
  }
  if (process.getuid?.() !== 0) {
    if (needed.length === 0) return [];
    throw new Error(
      `system packages are missing. Run this as root, then run this again:\n\n    apt-get update && apt-get install -y ${list}\n`,
    );
  }

  let updated = false;
  const update = () => {
    say("apt-get update");
    apt(["update", "-qq"]);
    updated = true;
  };
  if (!missing.every(({ names }) => candidateOf(names))) update();
  const wanted = missing
    .filter(({ names, optional }) => candidateOf(names) || !optional)
    .map(({ names }) => candidateOf(names) ?? names[0]);
  if (wanted.length === 0) return [];
  say(`apt-get install ${wanted.join(" ")} (may take a minute)`);
  withoutStartingServices(wanted, () => {
    if (install(wanted) || (!updated && (update(), install(wanted)))) return;
    throw new Error(`apt-get could not install ${wanted.join(" ")}: see its messages above; when it works by hand, run this again`);
  });
  return wanted;
}

/** The path of a program, also from the sbin folders that an ordinary user's PATH lacks. */
export function onPath(program) {
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/local/sbin", "/usr/sbin", "/sbin"];
  return folders
    .filter(Boolean)
    .map((folder) => path.join(folder, program))
    .find((file) => existsSync(file));
}

function sharedLibrary(name) {
  const folders = ["/usr/lib", "/usr/lib64", "/lib"].filter((folder) => existsSync(folder));
  return folders.some(
    (folder) => existsSync(path.join(folder, name)) || readdirSync(folder).some((below) => existsSync(path.join(folder, below, name))),
  );
}

/** A dynamic program names its loader in its first page. */
function isStatic(file) {
  if (file === undefined) return false;
  const head = Buffer.alloc(4096);
  const fd = openSync(file, "r");
  try {
    readSync(fd, head, 0, head.length, 0);
  } finally {
    closeSync(fd);
  }
  return !/\/lib\S*\/ld-/.test(head.toString("latin1"));
}

/** The first of the names that apt could install. */
function candidateOf(names) {
  return names.find((name) => {
    const policy = spawnSync("apt-cache", ["policy", name], { encoding: "utf8", env: { ...process.env, LC_ALL: "C" } });
    return /Candidate: (?!\(none\))\S/.test(policy.stdout ?? "");
  });
}

function install(names) {
  return apt(["install", "-y", "-qq", "--no-install-recommends", ...names]);
}

/** Shows what apt said only when it failed. */
function apt(args) {
  const { status, stdout, stderr } = spawnSync(
    "apt-get",
    ["-o", `DPkg::Lock::Timeout=${APT_LOCK_TIMEOUT_S}`, "-o", "Dpkg::Use-Pty=0", ...args],
    {
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
      encoding: "utf8",
      stdio: ["ignore", "pipe", "pipe"],
      maxBuffer: 64 << 20,
    },
  );
  if (status !== 0) process.stderr.write(`${stdout}${stderr}`);
  return status === 0;
}

/** Debian starts a service when its package is installed, unless policy-rc.d says no (exit code 101: forbidden). */
function withoutStartingServices(names, work) {
  const policy = "/usr/sbin/policy-rc.d";
  const ours = !existsSync(policy);
  if (ours) writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    work();
  } finally {
    if (ours) rmSync(policy);
  }
  if (names.some((name) => name.startsWith("docker")) && onPath("systemctl")) {
    for (const service of UNWANTED_SERVICES) {
      try {
        execFileSync("systemctl", ["disable", "--quiet", service], { stdio: "ignore" });
      } catch {
        // Not installed, or no systemd.
      }
    }
  }
}
