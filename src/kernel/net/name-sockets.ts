import { closeSync } from "node:fs";

import { inNamespace, openNamespace } from "./netns.ts";
import { readNamePorts, writeNameRules, type NamePorts } from "./name-rules.ts";
import { NETLINK_NETFILTER, openNetlinkSocket, type NetlinkSocket } from "./netlink-socket.ts";
import { bindPort, holdConnections, portOf } from "./port-socket.ts";

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

export function openNameSockets(namespaceFile: string): NameSockets {
  const namespace = openNamespace(namespaceFile);
  try {
    return inNamespace(namespace, () => {
      const netfilter = openNetlinkSocket(NETLINK_NETFILTER);
      try {
        return openOver(netfilter);
      } finally {
        netfilter.close();
      }
    });
  } finally {
    closeSync(namespace);
  }
}

function openOver(netfilter: NetlinkSocket): NameSockets {
  const before = readNamePorts(netfilter);
  try {
    // Over the rules that are there: a change of them takes the kernel 10 ms, which many containers would feel.
    if (before !== undefined) return bindBoth(before);
  } catch {
    // Something in the container took them meanwhile.
  }
  const sockets = bindBoth({ udp: 0, tcp: 0 });
  try {
    writeNameRules(netfilter, NAME_SERVER, { udp: portOf(sockets.udp), tcp: portOf(sockets.tcp) }, before !== undefined);
    return sockets;
  } catch (error) {
    closeBoth(sockets);
    throw error;
  }
}

export function closeBoth({ udp, tcp }: NameSockets): void {
  closeSync(udp);
  closeSync(tcp);
}

function bindBoth(ports: NamePorts): NameSockets {
  const opened: number[] = [];
  const open = (protocol: "udp" | "tcp"): number => {
    const fd = bindPort({ protocol, address: NAME_SERVER, port: ports[protocol] });
    opened.push(fd);
    return fd;
  };
  try {
    const sockets = { udp: open("udp"), tcp: open("tcp") };
    // The thread that will accept them may only just have been started.
    holdConnections(sockets.tcp);
    return sockets;
  } catch (error) {
    for (const fd of opened) closeSync(fd);
    throw error;
  }
}
