import dnsPacket from "dns-packet";
import { describe, expect, test } from "vitest";

import { codeOf, encodeEmpty, encodeRecords, isAnswerTo, parseQuery, RESPONSE_CODES, withId, type DnsQuery } from "./message.ts";
import type { DnsRecord } from "./resolver.ts";

const queryBytes = (more: dnsPacket.Packet = {}): Buffer =>
  dnsPacket.encode({
    type: "query",
    id: 7,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ name: "Web.front", type: "A", class: "IN" }],
    ...more,
  });
const parsed = (bytes: Buffer): DnsQuery => {
  const result = parseQuery(bytes);
  if (result === undefined || !("query" in result)) throw new Error("refused");
  return result.query;
};
const records = (count: number): DnsRecord[] =>
  Array.from({ length: count }, (_, index) => ({ name: "Web.front", type: "A", ttl: 600, data: `10.0.0.${index}` }));

describe("questions", () => {
  test("are read with the size that their sender takes", () => {
    expect(parsed(queryBytes())).toMatchObject({ id: 7, question: { name: "Web.front", type: "A", class: "IN" }, datagramSize: 512 });
    const sized = (udpPayloadSize: number): Buffer =>
      queryBytes({
        additionals: [{ type: "OPT", name: ".", udpPayloadSize, extendedRcode: 0, ednsVersion: 0, flags: 0, flag_do: false, options: [] }],
      });
    expect(parsed(sized(1232)).datagramSize).toBe(1232);
    expect(parsed(sized(100)).datagramSize).toBe(512);
  });

  test.each<[string, Buffer, number | undefined]>([
    ["cut off within the header", queryBytes().subarray(0, 11), undefined],
    ["an answer", dnsPacket.encode({ type: "response", id: 7 }), undefined],
    ["cut off within the question", queryBytes().subarray(0, 20), RESPONSE_CODES.formatError],
    ["no question", dnsPacket.encode({ type: "query", id: 7 }), RESPONSE_CODES.formatError],
    [
      "a name that points at itself",
      Buffer.from("00070100000100000000 0000c00c00010001".replace(" ", ""), "hex"),
      RESPONSE_CODES.formatError,
    ],
    ["a label of 64 bytes", Buffer.from(`00070100000100000000000040${"61".repeat(64)}0000010001`, "hex"), RESPONSE_CODES.formatError],
    ["larger than any", Buffer.concat([queryBytes(), Buffer.alloc(4096)]), RESPONSE_CODES.formatError],
    ["an update", Buffer.from("000728000001000000000000036162630000060001", "hex"), RESPONSE_CODES.notImplemented],
  ])("%s: refused by code, or not answered at all", (_, bytes, code) => {
    const result = parseQuery(bytes);
    const reply = result !== undefined && "reply" in result ? result.reply : undefined;
    expect(reply === undefined ? result : codeOf(reply)).toBe(code);
    expect(reply?.readUInt16BE(0) ?? 7).toBe(7);
    expect((reply?.readUInt8(2) ?? 0x80) & 0x80).toBe(0x80);
  });

  test("any bytes are refused or read, nothing else", () => {
    let seed = 1;
    const random = (): number => (seed = (seed * 48271) % 0x7fffffff);
    let read = 0;
    for (let round = 0; round < 5000; round += 1) {
      const bytes = queryBytes();
      for (let change = 0; change < 3; change += 1) bytes[random() % bytes.length] = random() & 0xff;
      const result = parseQuery(bytes);
      if (result === undefined || !("query" in result)) continue;
      read += 1;
      // Throws at what it cannot read.
      dnsPacket.decode(encodeEmpty(result.query, RESPONSE_CODES.serverFailure));
    }
    expect(read).toBeGreaterThan(100);
  });
});

describe("answers", () => {
  test("repeat the question as it was asked", () => {
    const answer = dnsPacket.decode(encodeRecords(parsed(queryBytes()), records(1), 512));
    expect(answer).toMatchObject({ id: 7, flag_rd: true, flag_ra: true, flag_tc: false, rcode: "NOERROR" });
    expect(answer.questions).toEqual([{ name: "Web.front", type: "A", class: "IN" }]);
    expect(answer.answers).toMatchObject([{ name: "Web.front", type: "A", class: "IN", ttl: 600, data: "10.0.0.0" }]);
    const empty = dnsPacket.decode(encodeEmpty(parsed(queryBytes()), RESPONSE_CODES.serverFailure));
    expect(empty).toMatchObject({ id: 7, rcode: "SERVFAIL", answers: [] });
    expect(empty.questions).toEqual(answer.questions);
  });

  test("hold as many records as there is room for, and say that there are more", () => {
    const query = parsed(queryBytes());
    const cut = encodeRecords(query, records(100), 512);
    const decoded = dnsPacket.decode(cut);
    expect(decoded.flag_tc).toBe(true);
    expect(cut.length).toBeLessThanOrEqual(512);
    expect(decoded.answers?.length).toBeGreaterThan(15);
    expect(dnsPacket.decode(encodeRecords(query, records(100), 65_535))).toMatchObject({ flag_tc: false });
  });

  test("of others are taken when they are to this question", () => {
    const asked = queryBytes();
    const answer = (more: dnsPacket.Packet = {}): Buffer =>
      dnsPacket.encode({ type: "response", id: 9, questions: [{ name: "web.FRONT", type: "A", class: "IN" }], ...more });
    expect(isAnswerTo(answer(), asked, 9)).toBe(true);
    expect(isAnswerTo(answer(), asked, 8)).toBe(false);
    expect(isAnswerTo(answer({ type: "query" }), asked, 9)).toBe(false);
    expect(isAnswerTo(answer({ questions: [{ name: "web.front", type: "AAAA", class: "IN" }] }), asked, 9)).toBe(false);
    expect(isAnswerTo(answer({ questions: [] }), asked, 9)).toBe(false);
    expect(isAnswerTo(answer({ questions: [], flags: RESPONSE_CODES.refused }), asked, 9)).toBe(true);
    expect(isAnswerTo(Buffer.from("0009"), asked, 9)).toBe(false);
    expect(withId(answer(), 7).readUInt16BE(0)).toBe(7);
  });
});
