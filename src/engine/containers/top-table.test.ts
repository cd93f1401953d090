import { expect, test } from "vitest";

import { parsePsOutput, topTable } from "./top-table.ts";

const ps = `UID          PID    PPID  C STIME TTY          TIME CMD
root           1       0  0 08:00 ?        00:00:01 /sbin/init splash
root        4711       1  0 08:01 ?        00:00:00 sh -c   sleep 5;  true
app         4712    4711  0 08:01 ?        00:00:00 sleep 5
`;

test("only the container's processes, the last column with all its words", () => {
  expect(parsePsOutput(ps, [4711, 4712])).toEqual({
    Titles: ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"],
    Processes: [
      ["root", "4711", "1", "0", "08:01", "?", "00:00:00", "sh -c sleep 5; true"],
      ["app", "4712", "4711", "0", "08:01", "?", "00:00:00", "sleep 5"],
    ],
  });
});

test("threads stay with their process", () => {
  const threads = "  PID   LWP CMD\n    1     - init\n    -     1 -\n   20     - app\n    -    20 -\n    -    21 -\n";
  expect(parsePsOutput(threads, [20]).Processes).toEqual([
    ["20", "-", "app"],
    ["-", "20", "-"],
    ["-", "21", "-"],
  ]);
});

test("without a PID column there is nothing to go by", async () => {
  expect(() => parsePsOutput("COMMAND\nsh\n", [1])).toThrow("Couldn't find PID field in ps output");
  await expect(topTable([process.pid], "-o comm")).rejects.toThrow("Couldn't find PID field in ps output");
  await expect(topTable([process.pid], "-o comm=PID")).rejects.toThrow('specifying "comm=PID" is not allowed');
});

test("ps itself: default and chosen columns, its own complaints, no shell", async () => {
  const table = await topTable([process.pid], "");
  expect(table.Titles).toContain("CMD");
  expect(table.Processes).toHaveLength(1);
  expect(await topTable([process.pid], "-o pid,ppid")).toEqual({
    Titles: ["PID", "PPID"],
    Processes: [[String(process.pid), String(process.ppid)]],
  });
  await expect(topTable([process.pid], "--no-such-option")).rejects.toThrow(/^ps: .*unknown.*option/);
  await expect(topTable([process.pid], "-ef; id")).rejects.toThrow("ps: ");
});
