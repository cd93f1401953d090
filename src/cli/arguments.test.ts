import { expect, test } from "vitest";

import { parseArguments, type Flag } from "./arguments.ts";

const flags: Flag[] = [
  { name: "interactive", short: "i", kind: "boolean", usage: "" },
  { name: "tty", short: "t", kind: "boolean", usage: "" },
  { name: "proxy", kind: "boolean", initial: "true", usage: "" },
  { name: "name", kind: "text", usage: "" },
  { name: "publish", short: "p", kind: "list", usage: "" },
  { name: "timeout", short: "s", kind: "integer", usage: "" },
  { name: "time", kind: "integer", sameAs: "timeout", deprecated: "use --timeout instead", usage: "" },
];

function read(line: string, interspersed = true): unknown {
  const { flags: given, positional, help, warnings } = parseArguments(flags, line.split(" ").filter(Boolean), interspersed);
  return {
    ...(given.boolean("interactive") && { i: true }),
    ...(given.boolean("tty") && { t: true }),
    ...(!given.boolean("proxy") && { proxy: false }),
    ...(given.changed("name") && { name: given.text("name") }),
    ...(given.list("publish").length > 0 && { p: given.list("publish") }),
    ...(given.changed("timeout") && { s: given.integer("timeout") }),
    ...(positional.length > 0 && { args: positional }),
    ...(help && { help }),
    ...(warnings.length > 0 && { warnings }),
  };
}

test.each([
  ["-it", { i: true, t: true }],
  ["-itp80:80 x", { i: true, t: true, p: ["80:80"], args: ["x"] }],
  ["-p 1 -p=2 --publish 3 --publish=4", { p: ["1", "2", "3", "4"] }],
  ["-p=", { p: ["="] }],
  ["--name=a=b --name c", { name: "c" }],
  ["--name= x", { name: "", args: ["x"] }],
  ["--name -i", { name: "-i" }],
  ["--proxy=false -t=false", { proxy: false }],
  ["-i=T x -t", { i: true, t: true, args: ["x"] }],
  ["a -i - b", { i: true, args: ["a", "-", "b"] }],
  ["a -- -i --name", { args: ["a", "-i", "--name"] }],
  ["-s 010 ", { s: 8 }],
  ["-s-1", { s: -1 }],
  ["--time 3", { s: 3, warnings: ["Flag --time has been deprecated, use --timeout instead"] }],
  ["x --help", { args: ["x"], help: true }],
  ["-h", { help: true, warnings: ["Flag shorthand -h has been deprecated, use --help"] }],
])("%s", (line, expected) => {
  expect(read(line)).toEqual(expected);
});

test("flags end at the first argument of a command that runs another", () => {
  expect(read("-i image -t --name x -- y", false)).toEqual({ i: true, args: ["image", "-t", "--name", "x", "--", "y"] });
});

test.each([
  ["--nope", "unknown flag: --nope"],
  ["-ix", "unknown shorthand flag: 'x' in -x"],
  ["--name", "flag needs an argument: --name"],
  ["-ip", "flag needs an argument: 'p' in -p"],
  ["--=x", "bad flag syntax: --=x"],
  ["---x", "bad flag syntax: ---x"],
  ["-i=maybe", 'invalid argument "maybe" for "-i, --interactive" flag: strconv.ParseBool: parsing "maybe": invalid syntax'],
  ["--proxy=", 'invalid argument "" for "--proxy" flag: strconv.ParseBool: parsing "": invalid syntax'],
  ["-s 1.5", 'invalid argument "1.5" for "-s, --timeout" flag: strconv.ParseInt: parsing "1.5": invalid syntax'],
  [
    "-s 9223372036854775808",
    'invalid argument "9223372036854775808" for "-s, --timeout" flag: strconv.ParseInt: parsing "9223372036854775808": value out of range',
  ],
])("%s is refused", (line, message) => {
  expect(() => read(line)).toThrow(message);
});
