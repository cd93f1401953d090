import { expect, test } from "vitest";

import { DEFAULT_DETACH_KEYS, DetachFilter, parseDetachKeys } from "./detach-keys.ts";

const P = 0x10;
const Q = 0x11;

function type(...chunks: number[][]): { passed: number[]; detached: boolean } {
  const filter = new DetachFilter(DEFAULT_DETACH_KEYS);
  const passed: number[] = [];
  for (const chunk of chunks) {
    const result = filter.push(Uint8Array.from(chunk));
    passed.push(...result.passed);
    if (result.detached) return { passed, detached: true };
  }
  return { passed: [...passed, ...filter.end()], detached: false };
}

test("keys are single characters, ctrl-X or DEL", () => {
  expect([...parseDetachKeys(undefined)]).toEqual([P, Q]);
  expect([...parseDetachKeys("")]).toEqual([P, Q]);
  expect([...parseDetachKeys("a,ctrl-x,@,DEL,ctrl-@,ctrl-_,ctrl-[")]).toEqual([97, 24, 64, 127, 0, 31, 27]);
  for (const bad of ["ctrl-", "ctrl-A", "ctrl-p,,", "xy", "é", "ctrl-1", "del"]) {
    expect(() => parseDetachKeys(bad)).toThrow(`Invalid detach keys (${bad}) provided`);
  }
});

test("the sequence is found wherever the chunks are cut, and nothing of it or after it goes on", () => {
  expect(type([65, P, Q, 66])).toEqual({ passed: [65], detached: true });
  expect(type([65, P], [Q, 66])).toEqual({ passed: [65], detached: true });
  expect(type([P], [Q])).toEqual({ passed: [], detached: true });
  expect(type([P, 65, P], [66], [P, Q])).toEqual({ passed: [P, 65, P, 66], detached: true });
});

test("what is not the sequence goes on unchanged and in order", () => {
  expect(type([1, 2, 3], [4])).toEqual({ passed: [1, 2, 3, 4], detached: false });
  expect(type([P], [65, 66])).toEqual({ passed: [P, 65, 66], detached: false });
  expect(type([65, P])).toEqual({ passed: [65, P], detached: false });
  expect(type([Q, P], [Q + 1])).toEqual({ passed: [Q, P, Q + 1], detached: false });
  // The second ctrl-p breaks the sequence and begins none: Docker's rule.
  expect(type([P, P, Q])).toEqual({ passed: [P, P, Q], detached: false });
});

test("a sequence of one key", () => {
  const filter = new DetachFilter(parseDetachKeys("ctrl-]"));
  expect(filter.push(Uint8Array.of(65))).toMatchObject({ detached: false });
  expect(filter.push(Uint8Array.of(66, 29))).toEqual({ passed: Buffer.from("B"), detached: true });
});
