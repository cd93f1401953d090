import { EngineError } from "../base/errors.ts";
import type { FileTime } from "../base/time.ts";
import { applyPaxRecords, parsePaxRecords, type PaxRecords } from "./pax.ts";
import { oldGnuSparse, paxSparse, SparseBody, type SparseMap } from "./sparse.ts";
import { BLOCK_BYTES, checkSize, parseTarHeader, type TarHeader } from "./tar-header.ts";

/**
 * A tar reader for archives that nobody vouches for: V7, ustar, PAX and GNU, the formats that Go's archive/tar reads, which is what
 * decides what a layer is. It is pushed with chunks as they come and tells its sink, without any waiting in between. Nothing an archive
 * says is allocated unseen: bodies pass through in the chunks they came in, headers of headers have a limit.
 */
export interface TarEntry {
  type: "file" | "directory" | "symlink" | "hardlink" | "character" | "block" | "fifo";
  /** Binary string, as it stands in the archive. */
  name: string;
  linkName: string;
  mode: number;
  user: number;
  group: number;
  /** Of a file's body; 0 for everything else. */
  sizeBytes: number;
  modified: FileTime;
  major: number;
  minor: number;
  /** Extended attributes by name. */
  attributes: Map<string, Buffer>;
}

/** An entry of an archive, with its header and what PAX records say, as it stands: for sums of headers. */
export interface ReadEntry extends TarEntry {
  header: TarHeader;
}

/** Gets each entry, then, for a file, its body in pieces and holes, then its end. A piece is only valid during the call. */
export interface TarSink {
  begin: (entry: ReadEntry) => void;
  data: (bytes: Buffer) => void;
  /** So many bytes of zero that need not take room. */
  hole: (bytes: number) => void;
  end: () => void;
}

/** Hears of every byte of an archive, in order: the content of plain files apart from all else. */
export interface TarTape {
  bytes: (bytes: Buffer) => void;
  content: (bytes: Buffer) => void;
}

/** Of one PAX or GNU long-name header. */
const MAX_EXTENDED_HEADER_BYTES = 1024 * 1024;
/** Docker and GNU tar pad to 10 KiB; more than this after the end is a bomb. */
const MAX_TRAILING_BYTES = 64 * 1024 * 1024;

const HAS_BODY = /^[07S\0]$/;

type State = "header" | "extended" | "map" | "body" | "skip" | "padding" | "end";

export class TarReader {
  readonly #sink: TarSink;
  readonly #tape: TarTape | undefined;
  #state: State = "header";
  /** What is left of the body, padding or extended header. */
  #left = 0;
  #paddingBytes = 0;
  readonly #block = Buffer.alloc(BLOCK_BYTES);
  #blockFilled = 0;
  #sawZeroBlock = false;
  #trailingBytes = 0;
  #extended: { typeFlag: string; body: Buffer; filled: number } | undefined;
  /** An entry whose sparse map goes on in the next blocks. */
  #mapping: { header: TarHeader; attributes: Map<string, Buffer>; map: SparseMap } | undefined;
  #sparse: SparseBody | undefined;
  #paxRecords: PaxRecords | undefined;
  #longName: string | undefined;
  #longLinkName: string | undefined;

  constructor(sink: TarSink, tape?: TarTape) {
    this.#sink = sink;
    this.#tape = tape;
  }

  push(chunk: Buffer): void {
    let rest = chunk;
    while (rest.length > 0) {
      const isContent = this.#state === "body" && this.#sparse === undefined;
      const taken = this.#take(rest);
      if (!isContent) this.#tape?.bytes(rest.subarray(0, taken));
      rest = rest.subarray(taken);
    }
  }

  /** How many bytes come next that are a file's content, as they stand in the archive, or fill it up: nothing but the sink needs them. */
  get contentAhead(): number {
    const isContent = (this.#state === "body" && this.#sparse === undefined) || this.#state === "skip" || this.#state === "padding";
    return isContent ? this.#left : 0;
  }

  /** Goes on behind content that neither the sink nor the tape wants; at most `contentAhead` bytes, less at least one. */
  skipContent(bytes: number): void {
    this.#left -= bytes;
  }

  /** The archive has ended: throws when it should not have. */
  finish(): void {
    const atBoundary = this.#state === "end" || (this.#state === "header" && this.#blockFilled === 0 && this.#extended === undefined);
    const pending = this.#paxRecords ?? this.#longName ?? this.#longLinkName;
    // The padding after the last body may be missing: nothing is lost with it.
    if (pending !== undefined || !(atBoundary || this.#state === "padding")) {
      throw new EngineError("invalid", "the tar archive ends in the middle of an entry");
    }
  }

  /** Uses up some of `bytes` and says how much. */
  #take(bytes: Buffer): number {
    switch (this.#state) {
      case "header":
        return this.#takeBlock(bytes, (block) => this.#header(block));
      case "map":
        return this.#takeBlock(bytes, (block) => this.#extendMap(block));
      case "extended":
        return this.#takeExtended(bytes);
      case "body": {
        const piece = bytes.subarray(0, this.#left);
        if (this.#sparse === undefined) {
          this.#tape?.content(piece);
          this.#sink.data(piece);
        } else this.#sparse.push(piece);
        this.#left -= piece.length;
        if (this.#left === 0) {
          this.#end();
          this.#pad();
        }
        return piece.length;
      }
      case "skip":
      case "padding": {
        const taken = Math.min(bytes.length, this.#left);
        this.#left -= taken;
        if (this.#left === 0) {
          if (this.#state === "skip") this.#pad();
          else this.#state = "header";
        }
        return taken;
      }
      case "end":
        this.#trailingBytes += bytes.length;
        if (this.#trailingBytes > MAX_TRAILING_BYTES) {
          throw new EngineError("invalid", `the tar archive goes on for more than ${MAX_TRAILING_BYTES} bytes after its end`);
        }
        return bytes.length;
    }
  }

  #takeBlock(bytes: Buffer, use: (block: Buffer) => void): number {
    if (this.#blockFilled === 0 && bytes.length >= BLOCK_BYTES) {
      use(bytes.subarray(0, BLOCK_BYTES));
      return BLOCK_BYTES;
    }
    const taken = bytes.copy(this.#block, this.#blockFilled);
    this.#blockFilled += taken;
    if (this.#blockFilled === BLOCK_BYTES) {
      this.#blockFilled = 0;
      use(this.#block);
    }
    return taken;
  }

  #takeExtended(bytes: Buffer): number {
    const extended = this.#extended;
    if (extended === undefined) throw new Error("no extended header is being read");
    const taken = bytes.copy(extended.body, extended.filled);
    extended.filled += taken;
    if (extended.filled === extended.body.length) {
      this.#extended = undefined;
      this.#finishExtended(extended.typeFlag, extended.body);
      this.#pad();
    }
    return taken;
  }

  #finishExtended(typeFlag: string, body: Buffer): void {
    const nul = body.indexOf(0);
    const name = body.toString("latin1", 0, nul === -1 ? body.length : nul);
    if (typeFlag === "x") this.#paxRecords = parsePaxRecords(body);
    else if (typeFlag === "L") this.#longName = name;
    else this.#longLinkName = name;
  }

  #header(block: Buffer): void {
    const header = parseTarHeader(block);
    if (header === undefined) {
      if (this.#sawZeroBlock) this.#state = "end";
      this.#sawZeroBlock = true;
      return;
    }
    if (this.#sawZeroBlock) throw new EngineError("invalid", "invalid tar header: the archive goes on after a block of zeros");
    this.#paddingBytes = (BLOCK_BYTES - (header.sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;
    switch (header.typeFlag) {
      case "x":
      case "L":
      case "K":
        return this.#beginExtended(header);
      case "g":
        // Docker ignores what is said for all entries at once.
        return this.#skip(header.sizeBytes);
      default:
        return this.#entry(header, block);
    }
  }

  #beginExtended(header: TarHeader): void {
    if (header.sizeBytes > MAX_EXTENDED_HEADER_BYTES) {
      throw new EngineError(
        "invalid",
        `invalid tar header: an extended header of ${header.sizeBytes} bytes (at most ${MAX_EXTENDED_HEADER_BYTES})`,
      );
    }
    this.#extended = { typeFlag: header.typeFlag, body: Buffer.alloc(header.sizeBytes), filled: 0 };
    this.#state = "extended";
    if (header.sizeBytes === 0) this.#takeExtended(Buffer.alloc(0));
  }

  #entry(plain: TarHeader, block: Buffer): void {
    const { header, attributes, sparse } = applyPaxRecords(
      { ...plain, name: this.#longName ?? plain.name, linkName: this.#longLinkName ?? plain.linkName },
      this.#paxRecords ?? new Map<string, Buffer>(),
    );
    this.#paxRecords = undefined;
    this.#longName = undefined;
    this.#longLinkName = undefined;
    const map = header.typeFlag === "S" ? oldGnuSparse(block) : sparse && paxSparse(sparse);
    if (map?.more === undefined) return this.#begin(header, attributes, map);
    this.#mapping = { header, attributes, map };
    this.#state = "map";
  }

  #extendMap(block: Buffer): void {
    if (this.#mapping === undefined) throw new Error("no sparse map is being read");
    const { header, attributes, map } = this.#mapping;
    if (map.isInBody) header.sizeBytes = checkSize(header.sizeBytes - BLOCK_BYTES);
    map.more?.(block);
    if (map.more !== undefined) return;
    this.#mapping = undefined;
    this.#begin(header, attributes, map);
  }

  #begin(header: TarHeader, attributes: Map<string, Buffer>, map: SparseMap | undefined): void {
    const type = typeOf(header);
    const storedBytes = type === "file" ? header.sizeBytes : 0;
    const { name, linkName, mode, user, group, modified, major, minor } = header;
    const sizeBytes = type === "file" && map !== undefined ? map.realSizeBytes : storedBytes;
    this.#sink.begin({ type, name, linkName, mode, user, group, sizeBytes, modified, major, minor, attributes, header });
    if (map !== undefined && type === "file") {
      const { data, hole } = this.#sink;
      this.#sparse = new SparseBody(map, storedBytes, data.bind(this.#sink), hole.bind(this.#sink));
    }
    this.#paddingBytes = (BLOCK_BYTES - (header.sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;
    if (storedBytes > 0) {
      this.#state = "body";
      this.#left = storedBytes;
    } else {
      this.#end();
      // As in Go's reader, only entries of a file's type have bytes behind them, whatever the others' size says.
      this.#skip(HAS_BODY.test(header.typeFlag) ? header.sizeBytes : 0);
    }
  }

  #end(): void {
    this.#sparse?.finish();
    this.#sparse = undefined;
    this.#sink.end();
  }

  #skip(bytes: number): void {
    this.#state = "skip";
    this.#left = bytes;
    if (bytes === 0) this.#state = "header";
  }

  #pad(): void {
    this.#state = this.#paddingBytes === 0 ? "header" : "padding";
    this.#left = this.#paddingBytes;
  }
}

function typeOf(header: TarHeader): TarEntry["type"] {
  switch (header.typeFlag) {
    case "0":
    case "7":
    case "S":
    case "\0":
      return header.name.endsWith("/") ? "directory" : "file";
    case "1":
      return "hardlink";
    case "2":
      return "symlink";
    case "3":
      return "character";
    case "4":
      return "block";
    case "5":
      return "directory";
    case "6":
      return "fifo";
    default:
      throw new EngineError("invalid", `invalid tar header: "${header.name}" is of the unknown type ${JSON.stringify(header.typeFlag)}`);
  }
}
