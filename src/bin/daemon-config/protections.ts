import { EngineError } from "../../base/errors.ts";
import type { Settings } from "./settings.ts";

/**
 * What a flag of dockerd, or its key in the config file, asks for and is not there yet, where going without would leave the machine or its
 * containers less protected than the user believes. A daemon that starts all the same is worse than one that does not start. A value
 * that asks for what is done anyway (`--tls=false`) is none of these.
 */
interface MissingProtection {
  flag: string;
  isAskedBy: (value: unknown) => boolean;
  why: string;
  wayOut: string;
}

const NO_TLS = "the API has no TLS yet";
const USE_SOCKET = "listen on a unix socket (-H unix://PATH) and reach it over SSH (DOCKER_HOST=ssh://HOST)";

const MISSING: readonly MissingProtection[] = [
  { flag: "tls", isAskedBy: isTrue, why: NO_TLS, wayOut: USE_SOCKET },
  // Docker: whoever says it at all, true or false, wants TLS.
  { flag: "tlsverify", isAskedBy: () => true, why: NO_TLS, wayOut: `${USE_SOCKET}; to go without TLS say --tls=false alone` },
  ...["tlscacert", "tlscert", "tlskey"].map((flag) => ({ flag, isAskedBy: isSomething, why: NO_TLS, wayOut: USE_SOCKET })),
  {
    flag: "authorization-plugin",
    isAskedBy: isSomething,
    why: "there are no authorization plugins yet: every request would be granted",
    wayOut: "leave it out, and let only people who may be root reach the socket (--group)",
  },
  {
    flag: "userns-remap",
    isAskedBy: isSomething,
    why: "user namespaces are not remapped yet: root in a container would be root on the host",
    wayOut: "leave it out, and run containers as a user of their own (run --user)",
  },
  {
    flag: "selinux-enabled",
    isAskedBy: isTrue,
    why: "SELinux labels are not set yet",
    wayOut: "leave it out; capabilities, seccomp and namespaces confine containers without it",
  },
  {
    flag: "rootless",
    isAskedBy: isTrue,
    why: "the daemon runs as root only",
    wayOut: "leave it out and start it as root, or use a virtual machine",
  },
  {
    flag: "bridge",
    isAskedBy: (value) => value === "none",
    why: "the default network cannot be left out yet",
    wayOut: "name a bridge, and run containers with --network none",
  },
  {
    flag: "iptables",
    isAskedBy: isFalse,
    why: "networks and published ports need rules of their own (in an nftables table of the daemon's)",
    wayOut: "leave it out, and publish ports on an address that may be reached (--ip 127.0.0.1)",
  },
  {
    flag: "ip-forward",
    isAskedBy: isFalse,
    why: "forwarding is switched on for the host's links where a network needs it",
    wayOut: "leave it out: nothing is forwarded from one link of the host to another",
  },
  {
    flag: "default-network-opt",
    isAskedBy: (value) => /enable_icc|host_binding|gateway_mode/.test(JSON.stringify(value)),
    why: "networks have no daemon-wide options yet",
    wayOut: "leave it out, and publish ports with their address (run -p 127.0.0.1:80:80)",
  },
  {
    flag: "storage-opt",
    isAskedBy: (value) => /size=/.test(JSON.stringify(value)),
    why: "the size of containers is not limited yet",
    wayOut: "leave it out, and put --data-root on a file system of its own",
  },
];

export const PROTECTION_FLAGS: readonly string[] = MISSING.map(({ flag }) => flag);

export function refuseMissingProtections(settings: Settings): void {
  for (const { flag, isAskedBy, why, wayOut } of MISSING) {
    const value = settings.value(flag);
    if (value === undefined || !isAskedBy(value)) continue;
    const message = `${settings.originOf(flag)} asks for a protection that is not there: ${why}. Way out: ${wayOut}.`;
    throw new EngineError("invalid", message);
  }
}

function isTrue(value: unknown): boolean {
  return value === true;
}

function isFalse(value: unknown): boolean {
  return value === false;
}

function isSomething(value: unknown): boolean {
  return Array.isArray(value) ? value.length > 0 : value !== "";
}
