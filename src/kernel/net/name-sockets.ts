import { closeSync } from "node:fs";

import { inNamespace, openNamespace } from "./netns.ts";
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

export function openNameSockets(namespaceFile: string, runNftables: (commands: string) => void): NameSockets {
  const namespace = openNamespace(namespaceFile);
  const opened: number[] = [];
  try {
    return inNamespace(namespace, () => {
      const open = (protocol: "udp" | "tcp"): number => {
        const fd = bindPort({ protocol, address: NAME_SERVER, port: 0 });
        opened.push(fd);
        return fd;
      };
      const sockets = { udp: open("udp"), tcp: open("tcp") };
      runNftables(rewriting(portOf(sockets.udp), portOf(sockets.tcp)));
      return sockets;
    });
  } catch (error) {
    for (const fd of opened) closeSync(fd);
    throw error;
  } finally {
    closeSync(namespace);
  }
}

/** One transaction, whether the table is there or not. */
function rewriting(udp: number, tcp: number): string {
  return [
    `add table ip ${TABLE}`,
    `delete table ip ${TABLE}`,
    `add table ip ${TABLE}`,
    `add chain ip ${TABLE} output { type filter hook output priority -150; policy accept; }`,
    ...Object.entries({ udp, tcp }).flatMap(([protocol, port]) => [
      `add rule ip ${TABLE} output ip daddr ${NAME_SERVER} ${protocol} dport 53 ${protocol} dport set ${port}`,
      `add rule ip ${TABLE} output ip saddr ${NAME_SERVER} ${protocol} sport ${port} ${protocol} sport set 53`,
    ]),
  ].join("\n");
}
