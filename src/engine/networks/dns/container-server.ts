import { createSocket } from "node:dgram";
import { setMaxListeners } from "node:events";
import { closeSync } from "node:fs";
import { createServer, type Socket } from "node:net";

import { inNamespace, openNamespace } from "../../../kernel/net/netns.ts";
import { forward } from "./forward.ts";
import { framed, readFrames } from "./framing.ts";
import { encodeEmpty, encodeRecords, LARGEST_MESSAGE, LARGEST_QUERY, parseQuery, RESPONSE_CODES, type DnsQuery } from "./message.ts";
import type { NameTable } from "./names.ts";
import { resolve, type DnsView } from "./resolver.ts";

/**
 * One container's name server: its two sockets and what it sees. Each container has its own, with limits of its own, so that a flood in
 * one takes nothing from the others: the kernel drops what does not fit a socket's buffer, and the event loop goes round the sockets.
 */
export interface ContainerServer {
  view: DnsView;
  close(): Promise<void>;
}

/** Questions under way to others, as Docker limits them. More are refused. */
const MAX_FORWARDED = 1024;
/** For all containers together, since each holds a socket. */
const MAX_FORWARDED_BY_ALL = 8192;
const MAX_CONNECTIONS = 128;
/** A connection on which nothing is asked for so long is closed. */
const IDLE_LIMIT_MS = 10_000;
/** Answers that a client does not read are not kept for it. */
const MAX_UNREAD_BYTES = 256 * 1024;

let forwardedByAll = 0;

export function openContainerServer(
  sockets: { udp: number; tcp: number },
  namespaceFile: string,
  initialView: DnsView,
  table: NameTable,
): ContainerServer {
  const connections = new Set<Socket>();
  const closing = new AbortController();
  setMaxListeners(MAX_FORWARDED, closing.signal);
  let forwarded = 0;

  function inContainer<T>(work: () => T): T {
    const namespace = openNamespace(namespaceFile);
    try {
      return inNamespace(namespace, work);
    } finally {
      closeSync(namespace);
    }
  }

  async function forwardQuery({ bytes }: DnsQuery, protocol: "udp" | "tcp"): Promise<Buffer | number> {
    if (forwarded >= MAX_FORWARDED || forwardedByAll >= MAX_FORWARDED_BY_ALL) return RESPONSE_CODES.refused;
    forwarded += 1;
    forwardedByAll += 1;
    try {
      const answer = await forward(bytes, protocol, server.view.upstreams, inContainer, closing.signal);
      return answer ?? RESPONSE_CODES.serverFailure;
    } finally {
      forwarded -= 1;
      forwardedByAll -= 1;
    }
  }

  function serve(bytes: Buffer, protocol: "udp" | "tcp", reply: (answer: Buffer) => void): void {
    const parsed = parseQuery(bytes);
    if (parsed === undefined) return;
    if ("reply" in parsed) return reply(parsed.reply);
    const { query } = parsed;
    const resolution = resolve(query.question, server.view, table);
    switch (resolution.kind) {
      case "answer": {
        const { records } = resolution;
        const limit = protocol === "udp" ? query.datagramSize : LARGEST_MESSAGE;
        return reply(records.length === 0 ? encodeEmpty(query, RESPONSE_CODES.noError) : encodeRecords(query, records, limit));
      }
      case "fail":
        return reply(encodeEmpty(query, RESPONSE_CODES.serverFailure));
      case "forward":
        void forwardQuery(query, protocol).then((answer) => reply(typeof answer === "number" ? encodeEmpty(query, answer) : answer));
    }
  }

  const udp = createSocket("udp4");
  udp.on("message", (bytes, peer) =>
    serve(bytes, "udp", (answer) => {
      if (!closing.signal.aborted) udp.send(answer, peer.port, peer.address, () => undefined);
    }),
  );
  // Of a datagram that could not be sent: its client asks again.
  udp.on("error", () => undefined);
  udp.bind({ fd: sockets.udp });

  const tcp = createServer((socket) => {
    connections.add(socket);
    socket.on("close", () => connections.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.setTimeout(IDLE_LIMIT_MS, () => socket.destroy());
    readFrames(socket, LARGEST_QUERY, (bytes) =>
      serve(bytes, "tcp", (answer) => {
        if (socket.writableLength > MAX_UNREAD_BYTES) socket.destroy();
        else if (!socket.destroyed) socket.write(framed(answer));
      }),
    );
  });
  tcp.maxConnections = MAX_CONNECTIONS;
  tcp.on("error", () => undefined);
  tcp.listen({ fd: sockets.tcp });

  const server: ContainerServer = {
    view: initialView,
    async close() {
      closing.abort();
      for (const socket of connections) socket.destroy();
      await Promise.all([
        new Promise<void>((resolve) => udp.close(() => resolve())),
        new Promise<void>((resolve) => tcp.close(() => resolve())),
      ]);
    },
  };
  return server;
}
