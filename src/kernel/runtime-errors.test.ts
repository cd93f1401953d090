import { describe, expect, test } from "vitest";
import { lastErrorIn, runtimeErrorMessage } from "./runtime-errors.ts";

const CREATE = "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ";
const EXEC = "OCI runtime exec failed: exec failed: unable to start container process: ";

describe("crun's and runc's texts for the same mistake become one", () => {
  test.each([
    [
      "nosuch",
      "executable file `nosuch` not found in $PATH: No such file or directory",
      'runc create failed: unable to start container process: exec: "nosuch": executable file not found in $PATH',
      'exec: "nosuch": executable file not found in $PATH',
    ],
    [
      "/nosuch",
      "executable file `/nosuch` not found in $PATH: No such file or directory",
      'runc create failed: unable to start container process: exec: "/nosuch": stat /nosuch: no such file or directory',
      'exec: "/nosuch": stat /nosuch: no such file or directory',
    ],
    [
      "/bin/text",
      "open executable: Permission denied",
      'runc create failed: unable to start container process: exec: "/bin/text": permission denied',
      'exec: "/bin/text": permission denied',
    ],
    [
      "/bin",
      "open executable: Operation not permitted",
      'runc create failed: unable to start container process: error during container init: exec: "/bin": permission denied',
      'exec: "/bin": permission denied',
    ],
    [
      "text",
      "open executable: Permission denied",
      'runc create failed: unable to start container process: exec: "text": executable file not found in $PATH',
      'exec: "text": executable file not found in $PATH',
    ],
  ])("%s", (command, crun, runc, cause) => {
    for (const text of [crun, runc]) expect(runtimeErrorMessage(text, { action: "create", command })).toBe(`${CREATE}${cause}: unknown`);
  });

  test("a working directory that is a file", () => {
    const hint = ": unknown: Are you trying to mount a directory onto a file (or vice-versa)?";
    expect(runtimeErrorMessage("chdir `/bin/sh`: Not a directory", { action: "create", command: "true" })).toContain(
      `${CREATE}mkdir /bin/sh: not a directory${hint}`,
    );
    expect(runtimeErrorMessage("chdir `/bin/sh`: Not a directory", { action: "exec", command: "true" })).toContain(
      `${EXEC}chdir to cwd ("/bin/sh") set in config.json failed: not a directory${hint}`,
    );
  });
});

test("a namespace that is gone fails before there is a container process", () => {
  const message = runtimeErrorMessage("open `/run/netns/x`: No such file or directory", { action: "create", command: "true" });
  expect(message).toContain(
    "runc create failed: unable to create new parent process: namespace path: lstat /run/netns/x: no such file or directory",
  );
});

test("an exec that fails has its own sentence", () => {
  expect(runtimeErrorMessage("executable file `x` not found in $PATH", { action: "exec", command: "x" })).toBe(
    `${EXEC}exec: "x": executable file not found in $PATH: unknown`,
  );
});

test("a text nobody knows is passed on whole", () => {
  expect(runtimeErrorMessage("something new", { action: "create", command: "x" })).toBe(`${CREATE}something new: unknown`);
  expect(runtimeErrorMessage("", { action: "create", command: "x" })).toContain("the runtime gave no reason");
});

test("the last error in a log counts, in plain text and in JSON", () => {
  expect(lastErrorIn("open executable: Permission denied\n")).toBe("open executable: Permission denied");
  const log = ['{"level":"warning","msg":"w","time":"t"}', '{"level":"error","msg":"exec: \\"x\\": no","time":"t"}'].join("\n");
  expect(lastErrorIn(log)).toBe('exec: "x": no');
  expect(lastErrorIn("")).toBeUndefined();
});
