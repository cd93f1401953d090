import { createSocket, type Socket as Datagrams } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, isIPv6, type Socket } from "node:net";

/**
 * Forwards from a bound socket to a container what the kernel cannot: clients of the family that the container does not have, and ::1.
 */
export interface Forward {
  close(): Promise<void>;
}

interface ForwardTarget {
  address: string;
  port: number;
}

/** Connections of one port at a time; further ones wait in the kernel's queue. */
const CONNECTIONS_LIMIT = 4096;
/** Clients of one UDP port whose replies we remember; when full the one silent for longest is forgotten. */
const UDP_CLIENTS_LIMIT = 1024;
/** How long a silent UDP client is remembered (docker-proxy: 90 s). */
const UDP_IDLE_MS = 90_000;

/** Takes over a bound TCP socket: listens and pipes each connection, half-closes included. */
export async function openTcpForward(fd: number, target: ForwardTarget): Promise<Forward> {
  const open = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
    const container = connect({ host: target.address, port: target.port, allowHalfOpen: true });
    for (const [one, other] of [
      [client, container],
      [container, client],
    ] as const) {
      open.add(one);
      one.setNoDelay(true);
      one.pipe(other);
      one.on("error", () => {
        // A refusal or reset on one side is passed on to the other as a reset.
        if (!other.destroyed) other.resetAndDestroy();
      });
      one.on("close", () => open.delete(one));
    }
  });
  server.maxConnections = CONNECTIONS_LIMIT;
  server.listen({ fd });
  await once(server, "listening");
  // Out of descriptors, it cannot take a connection: that one waits, and nothing else suffers.
  server.on("error", () => undefined);
  return {
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

/** Takes over a bound UDP socket; each client gets a socket of its own to the container, so that replies find the way back. */
export async function openUdpForward(fd: number, hostAddress: string, target: ForwardTarget): Promise<Forward> {
  const server = createSocket(datagramType(hostAddress));
  /** In the order of their last packet. */
  const clients = new Map<string, { socket: Datagrams; lastMs: number }>();
  const forget = (key: string): void => {
    clients.get(key)?.socket.close();
    clients.delete(key);
  };

  server.on("message", (data, from) => {
    const key = `${from.address} ${from.port}`;
    let client = clients.get(key);
    if (client === undefined) {
      const [oldest] = clients.keys();
      if (clients.size >= UDP_CLIENTS_LIMIT && oldest !== undefined) forget(oldest);
      const socket = createSocket(datagramType(target.address));
      socket.on("message", (reply) => server.send(reply, from.port, from.address));
      socket.on("error", () => forget(key));
      client = { socket, lastMs: 0 };
    }
    client.lastMs = performance.now();
    clients.delete(key);
    clients.set(key, client);
    client.socket.send(data, target.port, target.address);
  });
  server.on("error", () => undefined);
  const sweep = setInterval(() => {
    for (const [key, client] of clients) {
      if (performance.now() - client.lastMs < UDP_IDLE_MS) break;
      forget(key);
    }
  }, UDP_IDLE_MS / 3).unref();

  // With a descriptor the event comes before `bind` returns.
  const listening = once(server, "listening");
  server.bind({ fd });
  await listening;
  return {
    async close() {
      clearInterval(sweep);
      for (const key of clients.keys()) forget(key);
      const closed = once(server, "close");
      server.close();
      await closed;
    },
  };
}

function datagramType(address: string): "udp4" | "udp6" {
  return isIPv6(address) ? "udp6" : "udp4";
}
