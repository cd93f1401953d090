import { readFileSync } from "node:fs";

import { codeOf, EngineError } from "../../base/errors.ts";
import type { PortBinding, PortRequest } from "./networks.ts";
import type { PortHolder } from "./port-holder.ts";
import { formatIp, parseIp } from "./prefixes.ts";
import { isForwarded, proxyTarget, type Addresses } from "./published-ports.ts";

/**
 * Published ports: which host port each gets, and that nobody else on the host gets it.
 *
 * Two questions are asked of each port, as Docker asks them: does another container have it on the same address ("port is already
 * allocated"), and can it be bound on the host ("address already in use"). A port without an address is taken on 0.0.0.0 and [::] under
 * one number.
 */
export interface Ports {
  /** Chooses and holds a host port for each request, all or none. `container`: its addresses. */
  publish(requests: readonly PortRequest[], container: Addresses): Promise<PortBinding[]>;
  /** Holds again what an earlier daemon had published. */
  resume(bindings: readonly PortBinding[], container: Addresses): Promise<void>;
  withdraw(bindings: readonly PortBinding[]): Promise<void>;
}

/** Where /proc/sys/net/ipv4/ip_local_port_range cannot be read. */
const DEFAULT_RANGE = { first: 49153, last: 65535 };

/** How many ports of a range or of the ephemeral range are tried before we give up. */
const ATTEMPTS_LIMIT = 1024;

export function openPorts(holder: PortHolder, ephemeral: { first: number; last: number } = ephemeralRange()): Ports {
  const allocated = new Set<string>();
  /** The port that was given last out of each range: the next search begins behind it, so that a port that was freed rests. */
  const lastGiven = new Map<string, number>();

  async function take(request: PortRequest, addresses: readonly string[], hostPort: number, container: Addresses): Promise<PortBinding[]> {
    const wanted = addresses.map((hostAddress): PortBinding => {
      return { containerPort: request.containerPort, protocol: request.protocol, hostAddress, hostPort };
    });
    const taken = wanted.find((binding) => allocated.has(keyOf(binding)));
    if (taken) throw new PortTaken(`Bind for ${taken.hostAddress}:${taken.hostPort} failed: port is already allocated`);
    for (const binding of wanted) allocated.add(keyOf(binding));
    const held: PortBinding[] = [];
    try {
      for (const binding of wanted) {
        if (await hold(holder, binding, container, request.hostAddress === "")) held.push(binding);
        else allocated.delete(keyOf(binding));
      }
      return held;
    } catch (error) {
      for (const binding of wanted) allocated.delete(keyOf(binding));
      for (const binding of held) await holder.release(binding);
      throw error;
    }
  }

  async function choose(request: PortRequest, container: Addresses): Promise<PortBinding[]> {
    const addresses = request.hostAddress === "" ? ["0.0.0.0", "::"] : [shortest(request.hostAddress)];
    if (request.hostPort !== 0 && request.hostPort >= request.hostPortEnd) return take(request, addresses, request.hostPort, container);
    const range = request.hostPort === 0 ? ephemeral : { first: request.hostPort, last: request.hostPortEnd };
    const name = `${request.protocol} ${addresses[0]} ${range.first}-${range.last}`;
    const count = Math.min(range.last - range.first + 1, ATTEMPTS_LIMIT);
    let refusal: unknown = new PortTaken("all ports are allocated");
    for (let attempt = 0; attempt < count; attempt += 1) {
      const after = lastGiven.get(name) ?? range.last;
      const port = after >= range.last ? range.first : after + 1;
      lastGiven.set(name, port);
      try {
        return await take(request, addresses, port, container);
      } catch (error) {
        if (!(error instanceof PortTaken)) throw error;
        refusal = error;
      }
    }
    throw refusal;
  }

  return {
    async publish(requests, container) {
      const bindings: PortBinding[] = [];
      try {
        for (const request of requests) bindings.push(...(await choose(request, container)));
        return bindings;
      } catch (error) {
        await this.withdraw(bindings);
        throw error;
      }
    },
    async resume(bindings, container) {
      for (const binding of bindings) {
        allocated.add(keyOf(binding));
        await hold(holder, binding, container, false);
      }
    },
    async withdraw(bindings) {
      for (const binding of bindings) {
        allocated.delete(keyOf(binding));
        await holder.release(binding);
      }
    },
  };
}

function shortest(text: string): string {
  const address = parseIp(text);
  return address === undefined ? text : formatIp(address);
}

/** The port is somebody else's: of a range the next one may be free. */
class PortTaken extends EngineError {
  constructor(message: string) {
    super("system", message);
  }
}

const keyOf = (binding: PortBinding): string => `${binding.protocol} ${binding.hostAddress} ${binding.hostPort}`;

/** The words of Go's syscall.Errno, which Docker's users and scripts know. */
const GO_WORDS: Record<string, string> = {
  EADDRINUSE: "address already in use",
  EADDRNOTAVAIL: "cannot assign requested address",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
};

/** False where this host has no IPv6 and the address was not asked for by name. */
async function hold(holder: PortHolder, binding: PortBinding, container: Addresses, anyAddress: boolean): Promise<boolean> {
  const isIpv6 = binding.hostAddress.includes(":");
  // Node has no SCTP sockets, so no proxy takes it across families.
  if (binding.protocol === "sctp" && anyAddress && !isForwarded(binding, container)) return false;
  try {
    await holder.hold(binding, proxyTarget(binding, container));
    return true;
  } catch (error) {
    const code = codeOf(error) ?? "";
    if (isIpv6 && anyAddress && (code === "EAFNOSUPPORT" || code === "EADDRNOTAVAIL")) return false;
    // A kernel without this protocol has nobody who could take the port.
    if (code === "EPROTONOSUPPORT" || code === "ESOCKTNOSUPPORT") return true;
    const host = isIpv6 ? `[${binding.hostAddress}]` : binding.hostAddress;
    const message = `failed to bind host port ${host}:${binding.hostPort}/${binding.protocol}: ${GO_WORDS[code] ?? String(error)}`;
    throw code === "EADDRINUSE" ? new PortTaken(message) : new EngineError("system", message, { cause: error });
  }
}

function ephemeralRange(): { first: number; last: number } {
  try {
    const [first, last] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").trim().split(/\s+/).map(Number);
    if (first !== undefined && last !== undefined && first > 0 && last >= first) return { first, last };
  } catch {
    // Not mounted: as below.
  }
  return DEFAULT_RANGE;
}
