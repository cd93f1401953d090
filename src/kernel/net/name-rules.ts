import { isIP } from "node:net";

import { SystemCallError } from "../ffi.ts";
import { addressBytes } from "./ip-text.ts";
import {
  ACK,
  attribute,
  bigEndianAttribute,
  CREATE,
  decodeAttributes,
  nested,
  REQUEST,
  textAttribute,
  type NetlinkRequest,
} from "./netlink.ts";
import type { NetlinkSocket } from "./netlink-socket.ts";
import { inBatch, netfilterHeader, NFT_DELTABLE, NFT_GETTABLE, NFT_NEWCHAIN, NFT_NEWRULE, NFT_NEWTABLE } from "./nftables-messages.ts";

/**
 * The rules that bring what a container asks of a name server to the ports where we listen, and our answers back:
 *
 *     table ip tsubo_dns { chain output { type filter hook output priority -150;
 *       ip daddr SERVER udp dport 53 udp dport set U;   ip saddr SERVER udp sport U udp sport set 53; … tcp … } }
 *
 * As messages to the kernel, for these are made for every container: libnftables would need a context of its own in each namespace, whose
 * socket has to have a low number (select(2)), which a daemon with some hundred containers has none of left.
 */
const TABLE = "tsubo_dns";
const CHAIN = "output";
const AF_INET = 2;
const HOOK_LOCAL_OUT = 3;
const PRIORITY = -150;
const NAME_PORT = 53;

export interface NamePorts {
  udp: number;
  tcp: number;
}

/** Where the rules that are there send what is asked; undefined when there are none. */
export function readNamePorts(socket: NetlinkSocket): NamePorts | undefined {
  const body = Buffer.concat([netfilterHeader(AF_INET, 0), textAttribute(TABLE_NAME, TABLE)]);
  try {
    const [table] = socket.query({ type: NFT_GETTABLE, flags: REQUEST | ACK, body, what: `reading the table ip ${TABLE}` });
    const comment = table === undefined ? undefined : decodeAttributes(table.body, 4).get(TABLE_USERDATA);
    const [, udp, tcp] = /udp (\d+) tcp (\d+)/.exec(comment?.toString("latin1") ?? "") ?? [];
    return udp === undefined ? undefined : { udp: Number(udp), tcp: Number(tcp) };
  } catch (error) {
    if (error instanceof SystemCallError && error.code === "ENOENT") return undefined;
    throw error;
  }
}

/**
 * One transaction. `replace`: there were rules. Only then is anything deleted: the kernel lets go of it 10 ms later, and closing the socket
 * waits for that.
 */
export function writeNameRules(socket: NetlinkSocket, server: string, ports: NamePorts, replace: boolean): void {
  if (isIP(server) !== 4) throw new Error(`not an IPv4 address: ${server}`);
  const request = (type: number, flags: number, ...attributes: Buffer[]): NetlinkRequest => ({
    type,
    flags: REQUEST | flags,
    body: Buffer.concat([netfilterHeader(AF_INET, 0), ...attributes]),
    what: `writing the table ip ${TABLE}`,
  });
  const table = request(
    NFT_NEWTABLE,
    CREATE,
    textAttribute(TABLE_NAME, TABLE),
    attribute(TABLE_USERDATA, comment(`udp ${ports.udp} tcp ${ports.tcp}`)),
  );
  const rules = (["udp", "tcp"] as const).flatMap((protocol) => [
    rewrite(server, protocol, "destination", NAME_PORT, ports[protocol]),
    rewrite(server, protocol, "source", ports[protocol], NAME_PORT),
  ]);
  socket.transact(
    inBatch([
      table,
      ...(replace ? [request(NFT_DELTABLE, 0, textAttribute(TABLE_NAME, TABLE)), table] : []),
      request(
        NFT_NEWCHAIN,
        CREATE,
        textAttribute(CHAIN_TABLE, TABLE),
        textAttribute(CHAIN_NAME, CHAIN),
        nested(CHAIN_HOOK, bigEndianAttribute(HOOK_NUMBER, HOOK_LOCAL_OUT), bigEndianAttribute(HOOK_PRIORITY, PRIORITY)),
        textAttribute(CHAIN_TYPE, "filter"),
      ),
      ...rules.map((expressions) =>
        request(
          NFT_NEWRULE,
          CREATE | APPEND,
          textAttribute(RULE_TABLE, TABLE),
          textAttribute(RULE_CHAIN, CHAIN),
          nested(RULE_EXPRESSIONS, ...expressions),
        ),
      ),
    ]),
  );
}

// linux/netfilter/nf_tables.h
const APPEND = 0x800;
const TABLE_NAME = 1;
const TABLE_USERDATA = 6;
const CHAIN_TABLE = 1;
const CHAIN_NAME = 3;
const CHAIN_HOOK = 4;
const CHAIN_TYPE = 7;
const HOOK_NUMBER = 1;
const HOOK_PRIORITY = 2;
const RULE_TABLE = 1;
const RULE_CHAIN = 2;
const RULE_EXPRESSIONS = 4;
const LIST_ELEMENT = 1;
const EXPRESSION_NAME = 1;
const EXPRESSION_DATA = 2;
const REGISTER = 1;
const NETWORK_HEADER = 1;
const TRANSPORT_HEADER = 2;
const META_L4PROTO = 16;
const CHECKSUM_INET = 1;

const IPV4 = { source: 12, destination: 16, bytes: 4 };
const PORT = { source: 0, destination: 2, bytes: 2 };
const PROTOCOLS = { udp: { number: 17, checksumAt: 6 }, tcp: { number: 6, checksumAt: 16 } };

/** `ip SIDEaddr SERVER PROTOCOL SIDEport FROM PROTOCOL SIDEport set TO` */
function rewrite(server: string, protocol: "udp" | "tcp", side: "source" | "destination", from: number, to: number): Buffer[] {
  const { number, checksumAt } = PROTOCOLS[protocol];
  return [
    load(NETWORK_HEADER, IPV4[side], IPV4.bytes),
    equals(addressBytes(server)),
    expression("meta", bigEndianAttribute(1, REGISTER), bigEndianAttribute(2, META_L4PROTO)),
    equals(Buffer.from([number])),
    load(TRANSPORT_HEADER, PORT[side], PORT.bytes),
    equals(portBytes(from)),
    expression("immediate", bigEndianAttribute(1, REGISTER), nested(2, attribute(1, portBytes(to)))),
    expression(
      "payload",
      bigEndianAttribute(5, REGISTER),
      bigEndianAttribute(2, TRANSPORT_HEADER),
      bigEndianAttribute(3, PORT[side]),
      bigEndianAttribute(4, PORT.bytes),
      bigEndianAttribute(6, CHECKSUM_INET),
      bigEndianAttribute(7, checksumAt),
    ),
  ];
}

function load(header: number, offset: number, bytes: number): Buffer {
  return expression(
    "payload",
    bigEndianAttribute(1, REGISTER),
    bigEndianAttribute(2, header),
    bigEndianAttribute(3, offset),
    bigEndianAttribute(4, bytes),
  );
}

function equals(value: Buffer): Buffer {
  return expression("cmp", bigEndianAttribute(1, REGISTER), bigEndianAttribute(2, 0), nested(3, attribute(1, value)));
}

function expression(name: string, ...data: Buffer[]): Buffer {
  return nested(LIST_ELEMENT, textAttribute(EXPRESSION_NAME, name), nested(EXPRESSION_DATA, ...data));
}

function portBytes(port: number): Buffer {
  return Buffer.from([port >> 8, port & 0xff]);
}

/** As nft keeps a table's comment (libnftnl, NFTNL_UDATA_TABLE_COMMENT): type, length, text. */
function comment(text: string): Buffer {
  const bytes = Buffer.from(`${text}\0`);
  return Buffer.concat([Buffer.from([0, bytes.length]), bytes]);
}
