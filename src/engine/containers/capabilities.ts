import { EngineError } from "../../base/errors.ts";
import { CAPABILITIES } from "../../kernel/host.ts";

/**
 * Which capabilities a container's processes may hold. The list is its bounding, permitted and effective set; inheritable and ambient stay
 * empty, or a file's inheritable capabilities would let any user gain them (CVE-2022-24769).
 */

/** What a container has unless told otherwise, in Docker's order (moby oci/caps/defaults.go). */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  "CAP_CHOWN",
  "CAP_DAC_OVERRIDE",
  "CAP_FSETID",
  "CAP_FOWNER",
  "CAP_MKNOD",
  "CAP_NET_RAW",
  "CAP_SETGID",
  "CAP_SETUID",
  "CAP_SETFCAP",
  "CAP_SETPCAP",
  "CAP_NET_BIND_SERVICE",
  "CAP_SYS_CHROOT",
  "CAP_KILL",
  "CAP_AUDIT_WRITE",
];

const ALL = "ALL";
const known: ReadonlySet<string> = new Set(CAPABILITIES);

export interface CapabilityRequest {
  privileged: boolean;
  add: readonly string[];
  drop: readonly string[];
}

/** The final list. `available` are those that we hold and so can give. */
export function chooseCapabilities(request: CapabilityRequest, available: ReadonlySet<string>): string[] {
  if (request.privileged) return [...available];
  const add = normalizeCapabilities(request.add, available);
  const drop = new Set(normalizeCapabilities(request.drop, available));
  if (add.includes(ALL)) return [...available].filter((name) => !drop.has(name));
  if (drop.has(ALL)) return [...new Set(add)];
  return [...new Set([...DEFAULT_CAPABILITIES.filter((name) => !drop.has(name)), ...add])];
}

/** `net_admin`, `NET_ADMIN` and `CAP_NET_ADMIN` are one; unknown names are refused in Docker's words. */
export function normalizeCapabilities(names: readonly string[], available: ReadonlySet<string>): string[] {
  return names.map((written) => {
    const upper = written.toUpperCase();
    if (upper === ALL) return ALL;
    const name = upper.startsWith("CAP_") ? upper : `CAP_${upper}`;
    if (!known.has(name)) throw new EngineError("invalid", `unknown capability: "${name}"`);
    if (!available.has(name)) {
      const why = "capability not supported by your kernel or not available in the current environment";
      throw new EngineError("invalid", `${why}: "${name}"`);
    }
    return name;
  });
}
