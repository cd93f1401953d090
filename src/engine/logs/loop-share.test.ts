import { expect, test } from "vitest";

import { takeLoopShare } from "./loop-share.ts";

test("in one turn of the loop only some of many readings go on, in their order, and all in time", async () => {
  const order: number[] = [];
  const taken = Promise.all(Array.from({ length: 20 }, (_, reader) => takeLoopShare().then(() => order.push(reader))));
  for (let before = 0; order.length < 20; before = order.length) {
    await new Promise((resolve) => setImmediate(resolve));
    expect(order.length - before).toBeLessThanOrEqual(8); // Our own turn may come after two of theirs.
  }
  await taken;
  expect(order).toEqual([...Array(20).keys()]);
});
