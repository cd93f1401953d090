import { EngineError } from "../base/errors.ts";
import { checkSize, parseNumber } from "./tar-header.ts";

/**
 * Sparse files as GNU tar packs them (`--sparse`): only the parts that hold data are in the archive, and a map says where they belong. The
 * map stands in the header and the blocks after it (old GNU), in PAX records (0.0, 0.1), or as text before the data (1.0).
 */
export interface SparseMap {
  realSizeBytes: number;
  parts: { offset: number; sizeBytes: number }[];
  /** Takes the next block while the map goes on; undefined when it is whole. */
  more: ((block: Buffer) => void) | undefined;
  /** Its blocks count as part of the body. */
  isInBody: boolean;
}

/** What PAX records say of it. */
export interface PaxSparse {
  name: string | undefined;
  realSizeBytes: number;
  /** `offset,size,offset,size…`; undefined: it stands before the data. */
  map: string | undefined;
}

const MAX_PARTS = 100_000;
const MAX_MAP_BYTES = 4 * 1024 * 1024;
const OLD_GNU = { first: 386, inHeader: 4, inBlock: 21, entryBytes: 24, goesOn: 482, goesOnInBlock: 504, realSize: 483 };

export function oldGnuSparse(header: Buffer): SparseMap {
  const realSizeBytes = checkSize(parseNumber(header, OLD_GNU.realSize, OLD_GNU.realSize + 12, "size"));
  const map: SparseMap = { realSizeBytes, parts: [], more: undefined, isInBody: false };
  const take = (block: Buffer, start: number, count: number, goesOnAt: number): void => {
    for (let entry = start; entry < start + count * OLD_GNU.entryBytes; entry += OLD_GNU.entryBytes) {
      if (block[entry] === 0) break;
      addPart(map, parseNumber(block, entry, entry + 12, "sparse map"), parseNumber(block, entry + 12, entry + 24, "sparse map"));
    }
    map.more = block[goesOnAt] === 0 ? undefined : (next) => take(next, 0, OLD_GNU.inBlock, OLD_GNU.goesOnInBlock);
  };
  take(header, OLD_GNU.first, OLD_GNU.inHeader, OLD_GNU.goesOn);
  return map;
}

export function paxSparse({ realSizeBytes, map: listed }: PaxSparse): SparseMap {
  const map: SparseMap = { realSizeBytes, parts: [], more: undefined, isInBody: listed === undefined };
  const addAll = (numbers: string[]): void => {
    for (let at = 0; at < numbers.length; at += 2) addPart(map, numberOf(numbers[at]), numberOf(numbers[at + 1]));
  };
  if (listed !== undefined) {
    addAll(listed === "" ? [] : listed.split(","));
    return map;
  }
  // A line that says how many parts there are, then two lines for each.
  let text = "";
  let lines = 0;
  let wanted: number | undefined;
  map.more = (block) => {
    const piece = block.toString("latin1");
    wanted ??= 1 + 2 * numberOf(piece.split("\n", 1)[0]);
    text += piece;
    lines += piece.split("\n").length - 1;
    if (text.length > MAX_MAP_BYTES) throw invalid(`its map has more than ${MAX_MAP_BYTES} bytes`);
    if (lines < wanted) return;
    map.more = undefined;
    addAll(text.split("\n").slice(1, wanted));
  };
  return map;
}

/** Passes the body on, and the holes between its parts. */
export class SparseBody {
  readonly #map: SparseMap;
  readonly #data: (bytes: Buffer) => void;
  readonly #hole: (bytes: number) => void;
  #position = 0;
  #part = 0;
  #left: number;

  constructor(map: SparseMap, storedBytes: number, data: (bytes: Buffer) => void, hole: (bytes: number) => void) {
    this.#map = map;
    this.#data = data;
    this.#hole = hole;
    this.#left = map.parts[0]?.sizeBytes ?? 0;
    const mapped = map.parts.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    if (mapped !== storedBytes) throw invalid(`its map speaks of ${mapped} bytes, and ${storedBytes} are there`);
  }

  push(bytes: Buffer): void {
    for (let rest = bytes; rest.length > 0;) {
      while (this.#left === 0) this.#left = this.#map.parts[(this.#part += 1)]?.sizeBytes ?? 0;
      this.#moveTo(this.#map.parts[this.#part]?.offset ?? 0, this.#left);
      const piece = rest.subarray(0, this.#left);
      this.#data(piece);
      this.#position += piece.length;
      this.#left -= piece.length;
      rest = rest.subarray(piece.length);
    }
  }

  finish(): void {
    if (this.#position < this.#map.realSizeBytes) this.#hole(this.#map.realSizeBytes - this.#position);
  }

  /** Only at the start of a part is there anything to skip. */
  #moveTo(offset: number, left: number): void {
    const start = offset + (this.#map.parts[this.#part]?.sizeBytes ?? 0) - left;
    if (start > this.#position) this.#hole(start - this.#position);
    this.#position = start;
  }
}

function addPart(map: SparseMap, offset: number, sizeBytes: number): void {
  const last = map.parts.at(-1);
  const isInOrder = offset >= (last === undefined ? 0 : last.offset + last.sizeBytes);
  if (!isInOrder || sizeBytes < 0 || offset + sizeBytes > map.realSizeBytes) throw invalid("its map is out of order");
  if (map.parts.length >= MAX_PARTS) throw invalid(`it has more than ${MAX_PARTS} parts`);
  map.parts.push({ offset, sizeBytes });
}

function numberOf(text: string | undefined): number {
  if (text === undefined || !/^\d{1,15}$/.test(text)) throw invalid("its map holds something that is no number");
  return Number(text);
}

function invalid(why: string): EngineError {
  return new EngineError("invalid", `invalid tar header: a sparse file: ${why}`);
}
