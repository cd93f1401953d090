import { readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";

import { EngineError } from "../../base/errors.ts";
import { checked, libc, loadLibrary } from "../ffi.ts";
import { ACK, bigEndianAttribute, decodeAttributes, REQUEST, textAttribute, type NetlinkRequest } from "./netlink.ts";
import { keepLowDescriptors, withLowDescriptors } from "./low-descriptors.ts";
import { inBatch, netfilterHeader, NFT_GETGEN, NFT_NEWTABLE } from "./nftables-messages.ts";
import { NETLINK_NETFILTER, openNetlinkSocket, useNetlinkSocket, type NetlinkSocket } from "./netlink-socket.ts";

/**
 * nftables: commands in nft's own language, each text one atomic transaction.
 *
 * Through libnftables.so.1 a change takes 0.16 ms; where the library cannot be loaded the `nft` program runs the same text (11 ms, and no
 * table flags). Without both, `openNftables` throws and only networks that need a firewall are lost.
 */
export interface Nftables {
  readonly by: "libnftables" | "nft";
  /** Runs one transaction: all of it, or nothing and an error in nft's words. */
  run(commands: string): void;
  /** Runs a `list …` command and gives nft's JSON objects (libnftables-json(5)), without the metainfo. */
  list(command: string): Record<string, unknown>[];
  /**
   * Takes the table for ourselves (flags owner|persist): no `flush ruleset` or foreign change touches it, it survives our death, and the
   * next daemon takes it over by the same call. False where the kernel (before 6.9) or the way we reach it does not allow it.
   */
  own(table: string): boolean;
  /** Number of the ruleset: each commit of anybody on this machine adds one. */
  generation(): number;
  close(): void;
}

const JSON_OUTPUT = 1 << 4;
const NFPROTO_INET = 1;
const NFTA_TABLE_NAME = 1;
const NFTA_TABLE_FLAGS = 2;
const NFTA_GENERATION_ID = 1;
const OWNER_AND_PERSIST = 2 | 4;
const SOL_SOCKET = 1;
const SO_PROTOCOL = 38;

const FIOCLEX = 0x5451;
const ioctlCall = libc("int ioctl(int fd, unsigned long request)");
const getsockoptCall = libc("int getsockopt(int fd, int level, int name, void *value, void *length)");

/**
 * How nftables is reached: `owner`, the library and a table of which we are the owner; `library`, the library and a plain table, as on
 * kernels before 6.9; `program`, the nft program, as where the library cannot be loaded. Each falls back to the next.
 */
export type FirewallWay = "owner" | "library" | "program";

/** Opens nftables in the calling thread's network namespace. `scratchFile` is where the fall-back puts its commands. */
export function openNftables(scratchFile: string, runProgram: RunProgram, way: FirewallWay): Nftables {
  const generations = openNetlinkSocket(NETLINK_NETFILTER);
  const generation = (): number => {
    const [answer] = generations.query({
      type: NFT_GETGEN,
      flags: REQUEST | ACK,
      body: netfilterHeader(0, 0),
      what: "reading the firewall's generation",
    });
    return answer === undefined ? 0 : (decodeAttributes(answer.body, 4).get(NFTA_GENERATION_ID)?.readUInt32BE(0) ?? 0);
  };
  try {
    const commands = (way === "program" ? undefined : openLibrary()) ?? openProgram(scratchFile, runProgram);
    return {
      ...commands,
      generation,
      close() {
        commands.close();
        generations.close();
      },
    };
  } catch (error) {
    generations.close();
    throw error;
  }
}

function openLibrary(): Omit<Nftables, "generation"> | undefined {
  const before = new Set(netfilterSockets());
  const context = createContext();
  if (context === undefined) return undefined;
  const [fd] = netfilterSockets().filter((candidate) => !before.has(candidate));
  // libmnl opens it without FD_CLOEXEC: a child that lives longer than we do would go on owning our table.
  if (fd !== undefined) checked("ioctl", ioctlCall(fd, FIOCLEX), "libnftables' socket");
  const owner = fd === undefined ? undefined : useNetlinkSocket(fd);
  return {
    by: "libnftables",
    run: context.run,
    list: context.list,
    own: (table) => owner !== undefined && ownTable(owner, table),
    close: context.free,
  };
}

interface Context {
  run: (commands: string) => string;
  list: (command: string) => Record<string, unknown>[];
  free: () => void;
}

/** A context of libnftables, whose socket is in the calling thread's namespace; undefined where the library is not installed. */
function createContext(): Context | undefined {
  library ??= loadNftables();
  if (library === undefined) return undefined;
  const { create, free, setOutputFlags, bufferOutput, bufferError, output, errorText, runCommands } = library;
  const context: unknown = withLowDescriptors(() => create(0) as unknown);
  if (context === null)
    throw new EngineError("system", "opening libnftables: nft_ctx_new failed: is this process allowed to use netlink (CAP_NET_ADMIN)?");
  bufferOutput(context);
  bufferError(context);
  const run = (commands: string): string => {
    const result = Number(runCommands(context, commands));
    // Reading a buffer also empties it: take both, always.
    const said = String(output(context) ?? "");
    const complaint = String(errorText(context) ?? "");
    if (result !== 0) throw new EngineError("system", `changing the firewall: ${complaint.trim() || "nftables refused without a word"}`);
    return said;
  };
  return {
    run,
    list(command) {
      setOutputFlags(context, JSON_OUTPUT);
      try {
        return parseListing(run(command));
      } finally {
        setOutputFlags(context, 0);
      }
    },
    free() {
      free(context);
      keepLowDescriptors();
    },
  };
}

let library: ReturnType<typeof loadNftables>;

function loadNftables() {
  const loaded = loadLibrary("libnftables.so.1");
  if (loaded === undefined) return undefined;
  return {
    create: loaded.func("void *nft_ctx_new(uint32_t flags)"),
    free: loaded.func("void nft_ctx_free(void *context)"),
    setOutputFlags: loaded.func("void nft_ctx_output_set_flags(void *context, unsigned int flags)"),
    bufferOutput: loaded.func("int nft_ctx_buffer_output(void *context)"),
    bufferError: loaded.func("int nft_ctx_buffer_error(void *context)"),
    output: loaded.func("const char *nft_ctx_get_output_buffer(void *context)"),
    errorText: loaded.func("const char *nft_ctx_get_error_buffer(void *context)"),
    runCommands: loaded.func("int nft_run_cmd_from_buffer(void *context, const char *commands)"),
  };
}

/**
 * Runs a program to its end and waits; undefined where it is not installed. It comes from the thread's own main file, because nothing that
 * could also run in the keeper may start programs by `child_process`.
 */
export type RunProgram = (name: string, args: string[]) => { status: number | null; stdout: string; stderr: string } | undefined;

function openProgram(scratchFile: string, runProgram: RunProgram): Omit<Nftables, "generation"> {
  const nft = (args: string[]): string => {
    const result = runProgram("nft", args);
    if (result === undefined) {
      const missing =
        "the firewall cannot be set up: neither libnftables.so.1 nor the program nft is installed: install the package nftables";
      throw new EngineError("system", missing);
    }
    if (result.status !== 0) throw new EngineError("system", `changing the firewall: ${result.stderr.trim()}`);
    return result.stdout;
  };
  nft(["--version"]);
  return {
    by: "nft",
    run(commands) {
      // `nft -f -` fails from Node: its pipes are sockets, which nft cannot open again.
      writeFileSync(scratchFile, commands, { mode: 0o600 });
      try {
        nft(["-f", scratchFile]);
      } finally {
        rmSync(scratchFile, { force: true });
      }
    },
    list: (command) => parseListing(nft(["-j", ...command.split(" ")])),
    own: () => false,
    close: () => undefined,
  };
}

/** A table belongs to the netlink socket that set its flags, so this must be libnftables' own socket. */
function ownTable(owner: NetlinkSocket, table: string): boolean {
  const create: NetlinkRequest = {
    type: NFT_NEWTABLE,
    flags: REQUEST,
    body: Buffer.concat([
      netfilterHeader(NFPROTO_INET, 0),
      textAttribute(NFTA_TABLE_NAME, table),
      bigEndianAttribute(NFTA_TABLE_FLAGS, OWNER_AND_PERSIST),
    ]),
    what: `taking the table inet ${table}`,
  };
  try {
    owner.transact(inBatch([create]));
    return true;
  } catch {
    return false;
  }
}

function parseListing(text: string): Record<string, unknown>[] {
  if (text.trim() === "") return [];
  const parsed: { nftables?: Record<string, unknown>[] } = JSON.parse(text);
  return (parsed.nftables ?? []).filter((object) => !("metainfo" in object));
}

/** Descriptors of this process that are netfilter netlink sockets. Only the kernel worker thread opens such. */
function netfilterSockets(): number[] {
  const found: number[] = [];
  for (const name of readdirSync("/proc/self/fd")) {
    try {
      if (!readlinkSync(`/proc/self/fd/${name}`).startsWith("socket:")) continue;
    } catch {
      continue; // closed by another thread since
    }
    const value = Buffer.alloc(4);
    const length = Buffer.from([4, 0, 0, 0]);
    if (getsockoptCall(Number(name), SOL_SOCKET, SO_PROTOCOL, value, length) !== 0) continue;
    if (value.readUInt32LE(0) === NETLINK_NETFILTER && isNetlink(Number(name))) found.push(Number(name));
  }
  return found;
}

function isNetlink(fd: number): boolean {
  const SO_DOMAIN = 39;
  const AF_NETLINK = 16;
  const value = Buffer.alloc(4);
  const length = Buffer.from([4, 0, 0, 0]);
  return getsockoptCall(fd, SOL_SOCKET, SO_DOMAIN, value, length) === 0 && value.readUInt32LE(0) === AF_NETLINK;
}
