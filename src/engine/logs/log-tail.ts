import { AFTER_TEXT } from "./json-record.ts";
import type { LogFile } from "./log-files.ts";
import { readCompressed } from "./read-file.ts";

/** Where the last lines begin: in which file, from which byte on, or after how many lines where it is compressed. */
export interface TailStart {
  fileIndex: number;
  offset: number;
  skipLines: number;
}

const BLOCK_BYTES = 64 * 1024;
/** As in the decoder: what is longer is no record. */
const MAX_RECORD_BYTES = 1024 * 1024;
const NEWLINE = 0x0a;
const BACKSLASH = 0x5c;

/**
 * Finds the last `count` lines of a log by reading backwards from its end; only compressed files are read from their beginning. A line is
 * what ends in a newline, in however many records, and whatever stands after the last newline.
 */
export async function findTail(files: readonly LogFile[], count: number): Promise<TailStart> {
  const end = files.length - 1;
  const counter: LineCounter = { linesLeft: count, atVeryEnd: true };
  for (let fileIndex = end; fileIndex >= 0; fileIndex -= 1) {
    const file = files[fileIndex];
    if (file === undefined) continue;
    if (file.isCompressed) {
      const lines = await countCompressedLines(file);
      if (lines >= counter.linesLeft) return { fileIndex, offset: 0, skipLines: lines - counter.linesLeft };
      counter.linesLeft -= lines;
      counter.atVeryEnd = false;
    } else {
      const offset = await findBackwards(file, counter);
      if (offset !== undefined) return { fileIndex, offset, skipLines: 0 };
    }
  }
  return { fileIndex: 0, offset: 0, skipLines: 0 };
}

interface LineCounter {
  linesLeft: number;
  /** The next record is the last of the whole log: it is of a line of its own, ended or not. */
  atVeryEnd: boolean;
}

/** The offset at which the lines that are still wanted begin; undefined when all of the file belongs to them. */
async function findBackwards({ handle }: LogFile, counter: LineCounter): Promise<number | undefined> {
  const { size } = await handle.stat();
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  /** The beginning of what was read before: the end of a record that begins further left. */
  let recordEnd: Buffer = Buffer.alloc(0);
  let unread = size;
  while (unread > 0) {
    const from = Math.max(0, unread - BLOCK_BYTES);
    const { bytesRead } = await handle.read(block, 0, unread - from, from);
    if (bytesRead < unread - from) return 0;
    const bytes = Buffer.concat([block.subarray(0, bytesRead), recordEnd]);
    let end = bytes.length;
    for (;;) {
      // The newline at end - 1 is the record's own.
      const before = end < 2 ? -1 : bytes.lastIndexOf(NEWLINE, end - 2);
      if (before < 0 && from > 0) break;
      if (end > 0 && endsEarlierLine(bytes.subarray(before + 1, end), counter)) return from + end;
      if (before < 0) return undefined;
      end = before + 1;
    }
    recordEnd = end > MAX_RECORD_BYTES ? Buffer.alloc(0) : Buffer.from(bytes.subarray(0, end));
    unread = from;
  }
  return counter.linesLeft === 0 ? size : undefined;
}

/** Counts a record, going backwards. True: it is the last of a line that is not wanted any more. */
function endsEarlierLine(record: Buffer, counter: LineCounter): boolean {
  const begins = counter.atVeryEnd || endsLine(record);
  counter.atVeryEnd = false;
  if (!begins) return false;
  if (counter.linesLeft === 0) return true;
  counter.linesLeft -= 1;
  return false;
}

/** Whether its text ends in a newline; what is no record counts as a line. */
function endsLine(record: Buffer): boolean {
  const textEnd = record.indexOf(AFTER_TEXT);
  if (textEnd < 0) return true;
  if (record[textEnd - 1] !== 0x6e) return false;
  let backslashes = 0;
  while (record[textEnd - 2 - backslashes] === BACKSLASH) backslashes += 1;
  return backslashes % 2 === 1;
}

async function countCompressedLines(file: LogFile): Promise<number> {
  let lines = 0;
  let rest: Buffer = Buffer.alloc(0);
  for await (const block of readCompressed(file)) {
    const bytes = Buffer.concat([rest, block]);
    let from = 0;
    for (let newline = bytes.indexOf(NEWLINE); newline >= 0; newline = bytes.indexOf(NEWLINE, from)) {
      if (endsLine(bytes.subarray(from, newline))) lines += 1;
      from = newline + 1;
    }
    rest = bytes.length - from > MAX_RECORD_BYTES ? Buffer.alloc(0) : Buffer.from(bytes.subarray(from));
  }
  return lines;
}
