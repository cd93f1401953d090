import { closeSync } from "node:fs";

import { inNamespace, openNamespace } from "./netns.ts";
import type { NftablesCommands } from "./nftables.ts";
import { bindPort, portOf } from "./port-socket.ts";

/**
 * The sockets on which a container's names are asked for, in its own namespace at 127.0.0.11. They are bound to high ports and packets to
 * and from port 53 are rewritten there, because bound to port 53 itself they would keep the container's own `0.0.0.0:53` from it. The
 * rewriting is stateless: nothing is tracked, and a successor's ports serve clients that connected to its predecessor's.
 */
export interface NameSockets {
  udp: number;
  tcp: number;
}

export const NAME_SERVER = "127.0.0.11";

/** Our table in the container's namespace; it goes with it. */
const TABLE = "tsubo_dns";

export function openNameSockets(namespaceFile: string, useNftables: <T>(work: (nftables: NftablesCommands) => T) => T): NameSockets {
  const namespace = openNamespace(namespaceFile);
  try {
    return inNamespace(namespace, () =>
      useNftables((nftables) => {
        const before = rewrittenPorts(nftables);
        try {
          // Over the rules that are there: a change of them takes the kernel 10 ms, which many containers would feel.
          if (before !== undefined) return bindBoth(before);
        } catch {
          // Something in the container took them meanwhile.
        }
        const sockets = bindBoth({ udp: 0, tcp: 0 });
        try {
          nftables.run(rewriting(portOf(sockets.udp), portOf(sockets.tcp)));
          return sockets;
        } catch (error) {
          closeBoth(sockets);
          throw error;
        }
      }),
    );
  } finally {
    closeSync(namespace);
  }
}

export function closeBoth({ udp, tcp }: NameSockets): void {
  closeSync(udp);
  closeSync(tcp);
}

function bindBoth(ports: { udp: number; tcp: number }): NameSockets {
  const udp = bindPort({ protocol: "udp", address: NAME_SERVER, port: ports.udp });
  try {
    return { udp, tcp: bindPort({ protocol: "tcp", address: NAME_SERVER, port: ports.tcp }) };
  } catch (error) {
    closeSync(udp);
    throw error;
  }
}

/** One transaction, whether there were rules or not. */
function rewriting(udp: number, tcp: number): string {
  return [
    `add table ip ${TABLE}`,
    `add chain ip ${TABLE} output { type filter hook output priority -150; policy accept; }`,
    `flush chain ip ${TABLE} output`,
    ...Object.entries({ udp, tcp }).flatMap(([protocol, port]) => [
      `add rule ip ${TABLE} output ip daddr ${NAME_SERVER} ${protocol} dport 53 ${protocol} dport set ${port}`,
      `add rule ip ${TABLE} output ip saddr ${NAME_SERVER} ${protocol} sport ${port} ${protocol} sport set 53`,
    ]),
  ].join("\n");
}

/** Where the rules that are there send packets; undefined when there are none, or others. */
function rewrittenPorts(nftables: NftablesCommands): { udp: number; tcp: number } | undefined {
  let listed: string;
  try {
    listed = JSON.stringify(nftables.list(`list table ip ${TABLE}`));
  } catch {
    return undefined;
  }
  const portFor = (protocol: string): number =>
    Number(new RegExp(`"protocol":"${protocol}","field":"dport"}},"value":(\\d+)`).exec(listed)?.[1]);
  const ports = { udp: portFor("udp"), tcp: portFor("tcp") };
  return ports.udp > 0 && ports.tcp > 0 ? ports : undefined;
}
