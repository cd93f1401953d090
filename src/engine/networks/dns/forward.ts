import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, isIPv6, Socket } from "node:net";

import { beginConnection, openDatagramSocket } from "../../../kernel/net/upstream-socket.ts";
import { framed, readFrames } from "./framing.ts";
import { codeOf, isAnswerTo, LARGEST_MESSAGE, RESPONSE_CODES, withId } from "./message.ts";
import type { Upstream } from "./resolver.ts";

/**
 * Asks others what is not known here, one after another and by the protocol that the container used. Each question has a socket of its
 * own, so a port that cannot be guessed, in the namespace that the server is reached from.
 */

/** Who does not answer within this is passed over. A container's own resolver waits five seconds. */
const ANSWER_LIMIT_MS = 4000;
/** A datagram may have been lost: it is sent again. */
const RESEND_AFTER_MS = 1000;
/** As many as a resolv.conf may name. */
const MAX_UPSTREAMS = 3;
const DNS_PORT = 53;

/** Runs something in the container's namespace. */
export type InContainer = <T>(work: () => T) => T;

/** The first useful answer; undefined when nobody had one. */
export async function forward(
  query: Buffer,
  protocol: "udp" | "tcp",
  upstreams: readonly Upstream[],
  inContainer: InContainer,
  signal: AbortSignal,
): Promise<Buffer | undefined> {
  for (const upstream of upstreams.slice(0, MAX_UPSTREAMS)) {
    if (signal.aborted) return undefined;
    const answer = await ask(query, protocol, upstream, inContainer, signal).catch(() => undefined);
    if (answer === undefined) continue;
    const code = codeOf(answer);
    if (code === RESPONSE_CODES.serverFailure || code === RESPONSE_CODES.refused) continue;
    return withId(answer, query.readUInt16BE(0));
  }
  return undefined;
}

/** Rejects when the server cannot be reached or says nothing. */
async function ask(
  query: Buffer,
  protocol: "udp" | "tcp",
  upstream: Upstream,
  inContainer: InContainer,
  signal: AbortSignal,
): Promise<Buffer> {
  const id = randomInt(0x10000);
  const transport = protocol === "udp" ? openDatagrams(upstream, inContainer) : openConnection(upstream, inContainer);
  const answered = Promise.withResolvers<Buffer>();
  const giveUp = (): void => answered.reject(new Error("no answer"));
  const limit = setTimeout(giveUp, ANSWER_LIMIT_MS);
  signal.addEventListener("abort", giveUp);
  try {
    transport.start(withId(query, id), answered.reject, (answer) => {
      if (isAnswerTo(answer, query, id)) answered.resolve(answer);
    });
    return await answered.promise;
  } finally {
    clearTimeout(limit);
    signal.removeEventListener("abort", giveUp);
    transport.close();
  }
}

interface Transport {
  /** What comes after the first answer or failure is of no interest, and no harm. */
  start(message: Buffer, fail: (error: Error) => void, take: (answer: Buffer) => void): void;
  close(): void;
}

function openDatagrams({ address, fromHost }: Upstream, inContainer: InContainer): Transport {
  const fd = fromHost ? undefined : inContainer(() => openDatagramSocket(address));
  const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
  if (fd !== undefined) socket.bind({ fd });
  let resend: NodeJS.Timeout | undefined;
  return {
    start(message, fail, take) {
      socket.on("error", fail);
      socket.on("message", take);
      // Connected, it gets only what that server sends, and hears at once when nobody listens there.
      socket.connect(DNS_PORT, address, () => {
        const send = (): void => socket.send(message, () => undefined);
        send();
        resend = setInterval(send, RESEND_AFTER_MS);
      });
    },
    close() {
      clearInterval(resend);
      socket.close();
    },
  };
}

function openConnection({ address, fromHost }: Upstream, inContainer: InContainer): Transport {
  const socket = fromHost ? connect(DNS_PORT, address) : new Socket({ fd: inContainer(() => beginConnection(address, DNS_PORT)) });
  return {
    start(message, fail, take) {
      socket.on("error", fail);
      socket.on("end", () => fail(new Error("the server closed the connection")));
      readFrames(socket, LARGEST_MESSAGE, take);
      socket.write(framed(message));
    },
    close: () => void socket.destroy(),
  };
}
