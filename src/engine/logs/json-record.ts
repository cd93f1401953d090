/**
 * One record of a json-file log, read by hand from bytes: `{"log":"text\n","stream":"stdout","attrs":{…},"time":"2024-…Z"}` and a newline,
 * `attrs` only where there are some. This is the innermost loop of reading a log, and ten times faster than JSON.parse; what has another
 * shape is `malformed` here and gets a second look in `log-decoder.ts`.
 */
export interface RecordPlaces {
  /** Where the next record begins. */
  next: number;
  /** Where the decoded text ends in the target. */
  textEnd: number;
  /** 1: stdout, 2: stderr, as in frame headers. */
  stream: number;
  timeStart: number;
  timeEnd: number;
  /** Both 0 without attributes. */
  attrsStart: number;
  attrsEnd: number;
}

export function newRecordPlaces(): RecordPlaces {
  return { next: 0, textEnd: 0, stream: 0, timeStart: 0, timeEnd: 0, attrsStart: 0, attrsEnd: 0 };
}

/** What every record begins with; inside one it cannot stand, for there quotes are escaped. */
export const RECORD_START = Buffer.from('{"log":"');
/** What follows a record's text. */
export const AFTER_TEXT = Buffer.from('","stream":"std');
/** What nearly always stands between text and time. */
const OUT_MIDDLE = Buffer.from('","stream":"stdout","time":"');
const OUT = Buffer.from("out");
const ERR = Buffer.from("err");
const BEFORE_TIME = Buffer.from('","time":"');
const BEFORE_ATTRS = Buffer.from('","attrs":');
const BEFORE_TIME_AFTER_ATTRS = Buffer.from(',"time":"');

const NEWLINE = 0x0a;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LETTER_N = 0x6e;
const LETTER_U = 0x75;

/**
 * Reads the record at `at` and writes its text to `target` from `targetAt` on, where there must be room for as many bytes as `bytes` has
 * left. Fills `places`. `incomplete`: the bytes end before the record does.
 */
export function readRecord(
  bytes: Buffer,
  at: number,
  target: Uint8Array,
  targetAt: number,
  places: RecordPlaces,
): "record" | "incomplete" | "malformed" {
  if (!matchesAt(bytes, at, RECORD_START)) return shortOr(bytes, at, RECORD_START);
  const textStart = at + RECORD_START.length;
  // Nearly every text has one escape, the newline that ends it: two searches and a copy, all of them native.
  const quote = bytes.indexOf(QUOTE, textStart);
  const backslash = bytes.indexOf(BACKSLASH, textStart);
  let from: number;
  if (quote >= 0 && backslash === quote - 2 && bytes[quote - 1] === LETTER_N) {
    target.set(bytes.subarray(textStart, backslash), targetAt);
    const textEnd = targetAt + backslash - textStart;
    target[textEnd] = NEWLINE;
    places.textEnd = textEnd + 1;
    from = quote;
  } else if (quote >= 0 && (backslash < 0 || backslash > quote)) {
    target.set(bytes.subarray(textStart, quote), targetAt);
    places.textEnd = targetAt + quote - textStart;
    from = quote;
  } else {
    from = unescape(bytes, textStart, target, targetAt, places);
    if (from < 0) return from === ENDS_EARLY ? "incomplete" : "malformed";
  }
  return readMembers(bytes, from, places);
}

/** What follows the text, from its closing quote on. */
function readMembers(bytes: Buffer, quote: number, places: RecordPlaces): "record" | "incomplete" | "malformed" {
  if (matchesAt(bytes, quote, OUT_MIDDLE)) {
    places.stream = 1;
    places.attrsStart = 0;
    places.attrsEnd = 0;
    return readTime(bytes, quote + OUT_MIDDLE.length, places);
  }
  let from = quote;
  if (!matchesAt(bytes, from, AFTER_TEXT)) return shortOr(bytes, from, AFTER_TEXT);
  from += AFTER_TEXT.length;
  const isOut = bytes[from] === OUT[0];
  const streamName = isOut ? OUT : ERR;
  if (!matchesAt(bytes, from, streamName)) return shortOr(bytes, from, streamName);
  places.stream = isOut ? 1 : 2;
  from += streamName.length;
  places.attrsStart = 0;
  places.attrsEnd = 0;
  if (matchesAt(bytes, from, BEFORE_TIME)) from += BEFORE_TIME.length;
  else {
    if (!matchesAt(bytes, from, BEFORE_ATTRS)) return shortOr(bytes, from, BEFORE_ATTRS, BEFORE_TIME);
    from += BEFORE_ATTRS.length;
    const attrsEnd = skipFlatObject(bytes, from);
    if (attrsEnd < 0) return attrsEnd === ENDS_EARLY ? "incomplete" : "malformed";
    places.attrsStart = from;
    places.attrsEnd = attrsEnd;
    from = attrsEnd;
    if (!matchesAt(bytes, from, BEFORE_TIME_AFTER_ATTRS)) return shortOr(bytes, from, BEFORE_TIME_AFTER_ATTRS);
    from += BEFORE_TIME_AFTER_ATTRS.length;
  }
  return readTime(bytes, from, places);
}

/** The time and the record's end. */
function readTime(bytes: Uint8Array, start: number, places: RecordPlaces): "record" | "incomplete" | "malformed" {
  // The two usual lengths, nine digits and six, before a search for others.
  let end = start + LONGEST_TIME;
  if (!endsTime(bytes, end)) {
    end = start + MICROSECOND_TIME;
    if (!endsTime(bytes, end)) {
      for (end = start; bytes[end] !== QUOTE; end += 1) {
        if (end - start > LONGEST_TIME) return "malformed";
        if (end >= bytes.length) return "incomplete";
      }
    }
  }
  if (end + 3 > bytes.length) return "incomplete";
  if (bytes[end + 1] !== 0x7d || bytes[end + 2] !== NEWLINE || !isTime(bytes, start, end)) return "malformed";
  places.timeStart = start;
  places.timeEnd = end;
  places.next = end + 3;
  return "record";
}

/** A quote alone could be one of the next record. */
function endsTime(bytes: Uint8Array, at: number): boolean {
  return bytes[at] === QUOTE && bytes[at - 1] === 0x5a;
}

const ENDS_EARLY = -1;
const IS_WRONG = -2;

/** Decodes a text with escapes up to its closing quote, whose place it gives back. */
function unescape(bytes: Uint8Array, start: number, target: Uint8Array, targetAt: number, places: RecordPlaces): number {
  const end = bytes.length;
  let from = start;
  let to = targetAt;
  for (;;) {
    if (from >= end) return ENDS_EARLY;
    // In bounds, here and below: from < end.
    const byte = bytes[from] as number;
    if (byte === QUOTE) break;
    if (byte === NEWLINE) return IS_WRONG;
    if (byte !== BACKSLASH) {
      target[to] = byte;
      to += 1;
      from += 1;
      continue;
    }
    if (from + 1 >= end) return ENDS_EARLY;
    const escaped = bytes[from + 1] as number;
    if (escaped !== LETTER_U) {
      const meant = SIMPLE_ESCAPES[escaped] as number;
      if (meant === 0) return IS_WRONG;
      target[to] = meant;
      to += 1;
      from += 2;
      continue;
    }
    // Two halves of a surrogate pair, or the six bytes that any record has after its text.
    if (from + 12 > end) return ENDS_EARLY;
    let code = readHex4(bytes, from + 2);
    if (code < 0) return IS_WRONG;
    from += 6;
    if (code >= 0xd800 && code < 0xdc00) {
      const second = bytes[from] === BACKSLASH && bytes[from + 1] === LETTER_U ? readHex4(bytes, from + 2) : -1;
      if (second >= 0xdc00 && second < 0xe000) {
        code = 0x10000 + ((code - 0xd800) << 10) + (second - 0xdc00);
        from += 6;
      }
    }
    to = writeUtf8(target, to, code);
  }
  places.textEnd = to;
  return from;
}

/** `2006-01-02T15:04:05.000000000Z` */
const LONGEST_TIME = 30;
const MICROSECOND_TIME = 27;
/** Up to the seconds. */
export const TIME_SECONDS_LENGTH = 19;

/** RFC 3339 in UTC: enough of a look to tell a torn record from a whole one. */
function isTime(bytes: Uint8Array, start: number, end: number): boolean {
  const length = end - start;
  return (
    (length === TIME_SECONDS_LENGTH + 1 || (length > TIME_SECONDS_LENGTH + 2 && bytes[start + TIME_SECONDS_LENGTH] === 0x2e)) &&
    bytes[start + 4] === 0x2d &&
    bytes[start + 10] === 0x54 &&
    bytes[start + 13] === 0x3a &&
    bytes[end - 1] === 0x5a
  );
}

function matchesAt(bytes: Uint8Array, at: number, wanted: Uint8Array): boolean {
  for (let index = 0; index < wanted.length; index += 1) if (bytes[at + index] !== wanted[index]) return false;
  return true;
}

/** Too few bytes to tell, when those that are there fit. */
function shortOr(bytes: Uint8Array, at: number, ...wanted: Uint8Array[]): "incomplete" | "malformed" {
  const have = Math.max(bytes.length - at, 0);
  return wanted.some((candidate) => have < candidate.length && matchesAt(bytes, at, candidate.subarray(0, have)))
    ? "incomplete"
    : "malformed";
}

/** The end of an object of strings. */
function skipFlatObject(bytes: Uint8Array, at: number): number {
  let inString = false;
  for (let index = at; index < bytes.length; index += 1) {
    const byte = bytes[index] as number;
    if (byte === NEWLINE) return IS_WRONG;
    if (byte === QUOTE) inString = !inString;
    else if (byte === BACKSLASH && inString) index += 1;
    else if (byte === 0x7d && !inString) return index + 1;
  }
  return ENDS_EARLY;
}

/** What `\x` means, by x; 0: nothing. */
const SIMPLE_ESCAPES = new Uint8Array(256);
for (const [letter, byte] of [
  ["n", 0x0a],
  ["r", 0x0d],
  ["t", 0x09],
  ["b", 0x08],
  ["f", 0x0c],
  ['"', QUOTE],
  ["\\", BACKSLASH],
  ["/", 0x2f],
] as const) {
  SIMPLE_ESCAPES[letter.charCodeAt(0)] = byte;
}

function readHex4(bytes: Uint8Array, at: number): number {
  let value = 0;
  for (let index = at; index < at + 4; index += 1) {
    const byte = bytes[index] as number;
    const letter = byte | 0x20;
    if (byte >= 0x30 && byte <= 0x39) value = value * 16 + byte - 0x30;
    else if (letter >= 0x61 && letter <= 0x66) value = value * 16 + letter - 0x57;
    else return -1;
  }
  return value;
}

/** A lone half of a surrogate pair becomes U+FFFD, as Go's decoder does. */
function writeUtf8(target: Uint8Array, at: number, anyCode: number): number {
  const code = anyCode >= 0xd800 && anyCode < 0xe000 ? 0xfffd : anyCode;
  if (code < 0x80) {
    target[at] = code;
    return at + 1;
  }
  if (code < 0x800) {
    target[at] = 0xc0 | (code >> 6);
    target[at + 1] = 0x80 | (code & 0x3f);
    return at + 2;
  }
  if (code < 0x10000) {
    target[at] = 0xe0 | (code >> 12);
    target[at + 1] = 0x80 | ((code >> 6) & 0x3f);
    target[at + 2] = 0x80 | (code & 0x3f);
    return at + 3;
  }
  target[at] = 0xf0 | (code >> 18);
  target[at + 1] = 0x80 | ((code >> 12) & 0x3f);
  target[at + 2] = 0x80 | ((code >> 6) & 0x3f);
  target[at + 3] = 0x80 | (code & 0x3f);
  return at + 4;
}
