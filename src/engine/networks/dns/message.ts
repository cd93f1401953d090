import dnsPacket from "dns-packet";

import type { DnsQuestion, DnsRecord } from "./resolver.ts";

/** DNS messages: what is asked, and the bytes of the answer. Pure. */
export interface DnsQuery {
  id: number;
  /** Those of its flags that an answer repeats. */
  flags: number;
  question: DnsQuestion;
  /** How large an answer may be in one datagram. */
  datagramSize: number;
  bytes: Buffer;
  /** Where in the bytes the question ends. */
  questionEnd: number;
}

export const RESPONSE_CODES = { noError: 0, formatError: 1, serverFailure: 2, notImplemented: 4, refused: 5 } as const;

const HEADER_BYTES = 12;
const LARGEST_LABEL = 63;
const RESPONSE = 0x8000;
const OPCODE = 0x7800;
const TRUNCATED = 0x0200;
const RECURSION_DESIRED = 0x0100;
const RECURSION_AVAILABLE = 0x0080;
const CHECKING_DISABLED = 0x0010;

/** What any client takes (RFC 1035), and what a TCP message can hold. */
const SMALLEST_DATAGRAM = 512;
export const LARGEST_MESSAGE = 65_535;
/** No question is near that large. */
export const LARGEST_QUERY = 4096;

/** The question; or the answer to something that is none; or nothing, where nobody waits for an answer. */
export function parseQuery(bytes: Buffer): { query: DnsQuery } | { reply: Buffer } | undefined {
  if (bytes.length < HEADER_BYTES) return undefined;
  const flags = bytes.readUInt16BE(2);
  if ((flags & RESPONSE) !== 0) return undefined;
  if ((flags & OPCODE) !== 0) return { reply: bareReply(bytes, RESPONSE_CODES.notImplemented) };
  const [questions, answers, authorities, additionals] = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at));
  const isQuestion = questions === 1 && answers === 0 && Number(authorities) <= 1 && Number(additionals) <= 2;
  if (!isQuestion || bytes.length > LARGEST_QUERY) return { reply: bareReply(bytes, RESPONSE_CODES.formatError) };
  try {
    const decoded = dnsPacket.decode(bytes);
    const [question] = decoded.questions ?? [];
    const questionEnd = endOfQuestion(bytes);
    if (question === undefined || questionEnd === undefined) throw new Error("no question");
    const options = decoded.additionals?.find(({ type }) => type === "OPT");
    const datagramSize = options !== undefined && "udpPayloadSize" in options ? options.udpPayloadSize : 0;
    const query = {
      id: bytes.readUInt16BE(0),
      flags: flags & (RECURSION_DESIRED | CHECKING_DISABLED),
      question: { name: question.name, type: question.type, class: question.class ?? "IN" },
      datagramSize: Math.max(datagramSize, SMALLEST_DATAGRAM),
      bytes,
      questionEnd,
    };
    return { query };
  } catch {
    return { reply: bareReply(bytes, RESPONSE_CODES.formatError) };
  }
}

/** An answer without records: the question as it came, and what became of it. */
export function encodeEmpty({ bytes, flags, questionEnd }: DnsQuery, code: number): Buffer {
  const reply = Buffer.alloc(questionEnd);
  bytes.copy(reply, 0, 0, questionEnd);
  reply.writeUInt16BE(RESPONSE | RECURSION_AVAILABLE | flags | code, 2);
  reply.fill(0, 6, HEADER_BYTES);
  return reply;
}

/** The answer with as many records, which are all of one size, as there is room for. A client that is told of truncation asks again by TCP. */
export function encodeRecords(query: DnsQuery, records: readonly DnsRecord[], limit: number): Buffer {
  const encode = (some: readonly DnsRecord[], flags: number): Buffer =>
    dnsPacket.encode({
      type: "response",
      id: query.id,
      flags: query.flags | RECURSION_AVAILABLE | flags,
      // Only types that have records here come so far.
      questions: [query.question as dnsPacket.Question],
      answers: some.map((record) => ({ ...record, class: "IN" })),
    });
  const whole = encode(records, 0);
  if (whole.length <= limit) return whole;
  const recordBytes = (whole.length - query.questionEnd) / records.length;
  return encode(records.slice(0, Math.floor((limit - query.questionEnd) / recordBytes)), TRUNCATED);
}

/** Answers that another server gave to a query sent with `id`, and not something else that came to the same socket. */
export function isAnswerTo(answer: Buffer, query: Buffer, id: number): boolean {
  if (answer.length < HEADER_BYTES || answer.readUInt16BE(0) !== id || (answer.readUInt16BE(2) & RESPONSE) === 0) return false;
  // A server that did not understand the question need not repeat it.
  if (answer.readUInt16BE(4) === 0) return codeOf(answer) !== RESPONSE_CODES.noError;
  return questionText(query) === questionText(answer);
}

export function codeOf(answer: Buffer): number {
  return answer.readUInt8(3) & 0xf;
}

export function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}

/** The question's name, type and class; servers may change the case of its letters. */
function questionText(message: Buffer): string {
  return message.toString("latin1", HEADER_BYTES, endOfQuestion(message)).toLowerCase();
}

/** Undefined for a name that is cut off or points elsewhere: there is nothing before it to point to. */
function endOfQuestion(message: Buffer): number | undefined {
  let at = HEADER_BYTES;
  for (let length = message[at]; length !== 0; length = message[at]) {
    if (length === undefined || length > LARGEST_LABEL) return undefined;
    at += length + 1;
  }
  const end = at + 5;
  return end > message.length ? undefined : end;
}

/** A header with nothing after it. */
function bareReply(query: Buffer, code: number): Buffer {
  const reply = Buffer.alloc(HEADER_BYTES);
  query.copy(reply, 0, 0, 2);
  reply.writeUInt16BE(RESPONSE | (query.readUInt16BE(2) & (OPCODE | RECURSION_DESIRED)) | code, 2);
  return reply;
}
