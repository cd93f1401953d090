import { createSocket } from "node:dgram";
import { once } from "node:events";
import { closeSync } from "node:fs";
import { createServer, Socket } from "node:net";

import dnsPacket from "dns-packet";

import { framed, readFrames } from "../../src/engine/networks/dns/framing.ts";
import { inNamespace, openNamespace } from "../../src/kernel/net/netns.ts";
import { allowSuccessor, bindPort } from "../../src/kernel/net/port-socket.ts";
import { beginConnection, openDatagramSocket } from "../../src/kernel/net/upstream-socket.ts";

/** Both ends of DNS for tests: who asks in a container's namespace, and the servers that others have. */

export type Protocol = "udp" | "tcp";

export interface AskOptions {
  protocol?: Protocol;
  type?: dnsPacket.RecordType;
  /** Size of datagrams that the asking side takes (EDNS). */
  size?: number;
  server?: string;
}

export type Answer = dnsPacket.DecodedPacket & { rcode: string };

/** No answer within this is none. A forwarded question may take the server's four seconds. */
const PATIENCE_MS = 6000;

/** Asks the container's own server; the answer, decoded. */
export async function askDns(namespaceFile: string, name: string, options: AskOptions = {}): Promise<Answer> {
  return decodeAnswer(await exchange(namespaceFile, queryFor(name, options), options));
}

export function decodeAnswer(bytes: Buffer): Answer {
  // It is there, and its type does not say so.
  return dnsPacket.decode(bytes) as Answer;
}

/** What an answer comes to: addresses and names in order of the alphabet, or the code of an error. */
export async function lookUp(namespaceFile: string, name: string, options: AskOptions = {}): Promise<string> {
  const { rcode, answers = [] } = await askDns(namespaceFile, name, options);
  if (rcode !== "NOERROR") return rcode;
  return answers
    .map((answer) => ("data" in answer && typeof answer.data === "string" ? answer.data : ""))
    .toSorted()
    .join(" ");
}

export function queryFor(name: string, { type = "A", size }: AskOptions = {}): Buffer {
  return dnsPacket.encode({
    type: "query",
    id: Math.floor(Math.random() * 0x10000),
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ name, type, class: "IN" }],
    additionals:
      size === undefined
        ? []
        : [{ type: "OPT", name: ".", udpPayloadSize: size, extendedRcode: 0, ednsVersion: 0, flags: 0, flag_do: false, options: [] }],
  });
}

/** Sends bytes and gives what comes back; rejects with `no answer`. */
export async function exchange(
  namespaceFile: string,
  message: Buffer,
  { protocol = "udp", server = "127.0.0.11" }: AskOptions = {},
  patienceMs = PATIENCE_MS,
): Promise<Buffer> {
  const answer = Promise.withResolvers<Buffer>();
  const timer = setTimeout(() => answer.reject(new Error("no answer")), patienceMs);
  let close: () => void;
  if (protocol === "udp") {
    const client = openClient(namespaceFile);
    client.on("message", answer.resolve);
    client.on("error", answer.reject);
    client.send(message, 53, server);
    close = () => client.close();
  } else {
    const client = new Socket({ fd: inFile(namespaceFile, () => beginConnection(server, 53)) });
    client.on("error", answer.reject);
    readFrames(client, 65_535, answer.resolve);
    client.write(framed(message));
    close = () => void client.destroy();
  }
  try {
    return await answer.promise;
  } finally {
    clearTimeout(timer);
    close();
  }
}

/** A socket that belongs to the namespace. */
export function openClient(namespaceFile: string): ReturnType<typeof createSocket> {
  const client = createSocket({ type: "udp4", recvBufferSize: 1 << 20 });
  client.bind({ fd: inFile(namespaceFile, () => openDatagramSocket("127.0.0.11")) });
  return client;
}

export interface NameServer {
  /** What it was asked, and from which port. */
  asked: { name: string; protocol: Protocol; port: number }[];
  close(): Promise<void>;
}

/** Serves on port 53 of an address. `answer` gives the messages to be sent back for one. */
export async function openNameServer(
  namespaceFile: string,
  address: string,
  answer: (query: dnsPacket.DecodedPacket, protocol: Protocol) => dnsPacket.Packet[],
): Promise<NameServer> {
  const asked: NameServer["asked"] = [];
  const respond = (bytes: Buffer, protocol: Protocol, port: number): Buffer[] => {
    const query = dnsPacket.decode(bytes);
    asked.push({ name: query.questions?.[0]?.name ?? "", protocol, port });
    return answer(query, protocol).map((packet) => dnsPacket.encode(packet));
  };

  const udp = createSocket(address.includes(":") ? "udp6" : "udp4");
  udp.on("message", (bytes, peer) => {
    for (const reply of respond(bytes, "udp", peer.port)) udp.send(reply, peer.port, peer.address);
  });
  const listening = once(udp, "listening");
  udp.bind({ fd: inFile(namespaceFile, () => bindPort({ protocol: "udp", address, port: 53 })) });
  await listening;

  const connections = new Set<Socket>();
  const tcp = createServer((socket) => {
    connections.add(socket);
    socket.on("error", () => undefined);
    readFrames(socket, 65_535, (bytes) => {
      for (const reply of respond(bytes, "tcp", socket.remotePort ?? 0)) socket.write(framed(reply));
    });
  });
  const fd = inFile(namespaceFile, () => bindPort({ protocol: "tcp", address, port: 53 }));
  allowSuccessor(fd);
  tcp.listen({ fd });
  await once(tcp, "listening");
  return {
    asked,
    async close() {
      udp.close();
      for (const socket of connections) socket.destroy();
      await new Promise((resolve) => tcp.close(resolve));
    },
  };
}

/** An answer of one address to whatever was asked. */
export function addressAnswer(query: dnsPacket.DecodedPacket, data: string, more: dnsPacket.Packet = {}): dnsPacket.Packet {
  const [question] = query.questions ?? [];
  return {
    type: "response",
    id: query.id ?? 0,
    flags: dnsPacket.RECURSION_AVAILABLE,
    questions: query.questions ?? [],
    answers: [{ name: question?.name ?? "", type: "A", class: "IN", ttl: 60, data }],
    ...more,
  };
}

function inFile<T>(namespaceFile: string, work: () => T): T {
  const fd = openNamespace(namespaceFile);
  try {
    return inNamespace(fd, work);
  } finally {
    closeSync(fd);
  }
}
