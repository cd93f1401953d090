import { describe, expect, test } from "vitest";

import { parseDockerfile } from "./parse.ts";
import { DockerfileError, excerpt } from "./dockerfile-error.ts";
import { MAX_DOCKERFILE_BYTES, MAX_HEREDOCS_A_LINE, MAX_INSTRUCTIONS } from "./syntax.ts";

function failure(text: string): DockerfileError {
  try {
    parseDockerfile(text);
  } catch (error) {
    if (error instanceof DockerfileError) return error;
    throw error;
  }
  throw new Error(`no error from ${JSON.stringify(text)}`);
}

/** What the error's range holds. */
function pointedAt({ range: { start, end }, source }: DockerfileError): string {
  const lines = source.split("\n").slice(start.line - 1, end.line);
  const last = lines.length - 1;
  return lines.map((line, index) => line.slice(index === 0 ? start.column : 0, index === last ? end.column : undefined)).join("\n");
}

/** Docker's words are those of 28.2, seen from its daemon or read in what it links. */
describe("an instruction that is wrong, and the word that is", () => {
  test.each<[line: string, message: string, word: string]>([
    ["BOGUS x", "unknown instruction: BOGUS", "BOGUS"],
    ["RNU x", "unknown instruction: RNU (did you mean RUN?)", "RNU"],
    ["coppy a b", "unknown instruction: coppy (did you mean copy?)", "coppy"],
    ["\\", "unknown instruction: ", ""],
    ["ENV", "ENV requires at least one argument", "ENV"],
    ["ENV =b", "ENV names can not be blank", "=b"],
    ["LABEL a=b =c", "LABEL names can not be blank", "=c"],
    ["ENV --x=1 a=b", "unknown flag: --x", "--x=1"],
    ["ARG", "ARG requires at least one argument", "ARG"],
    ["ARG a =x", "ARG names can not be blank", "=x"],
    ["COPY", "COPY requires at least two arguments, but only one was provided. Destination could not be determined", "COPY"],
    ["COPY a", "COPY requires at least two arguments, but only one was provided. Destination could not be determined", "COPY a"],
    [
      "ADD --chown=1 a",
      "ADD requires at least two arguments, but only one was provided. Destination could not be determined",
      "ADD --chown=1 a",
    ],
    ['COPY ["a"]', "COPY requires at least two arguments, but only one was provided. Destination could not be determined", 'COPY ["a"]'],
    ["COPY --foo=x a b", "unknown flag: --foo (did you mean from?)", "--foo=x"],
    ["COPY --from a b", "missing a value on flag: --from", "--from"],
    ["COPY --link= a b", "missing a value on flag: --link", "--link="],
    ["COPY --link=perhaps a b", "expecting boolean value for flag --link, not: perhaps", "--link=perhaps"],
    ["COPY --chown=1 --chown=2 a b", "duplicate flag specified: --chown", "--chown=2"],
    ["COPY --checksum=x a b", "unknown flag: --checksum", "--checksum=x"],
    ["ADD --from=x a b", "unknown flag: --from", "--from=x"],
    ["ADD --parents a b", "unknown flag: --parents", "--parents"],
    ["COPY a <<EOF\nx\nEOF", "COPY cannot accept a heredoc as a destination", "<<EOF"],
    ["RUN --moutn=type=cache x", "unknown flag: --moutn (did you mean mount?)", "--moutn=type=cache"],
    ["RUN --mount=type=bogus x", 'unsupported mount type "bogus"', "--mount=type=bogus"],
    [
      "RUN --mount=type=bind,from=$x,target=/x y",
      "'from' doesn't support variable expansion, define alias stage instead",
      "--mount=type=bind,from=$x,target=/x",
    ],
    ["RUN --network=bridge x", 'invalid network mode "bridge"', "RUN --network=bridge x"],
    ["RUN --security=none x", 'security "none" is not valid', "RUN --security=none x"],
    ["RUN --device=name=a,name=b x", "device name already set to a", "--device=name=a,name=b"],
    ["RUN --device=a,nmae=b x", "unexpected key 'nmae' in 'nmae=b' (did you mean name?)", "--device=a,nmae=b"],
    ["CMD --x y", "unknown flag: --x", "--x"],
    ["USER", "USER requires exactly one argument", "USER"],
    ["USER --x y", "unknown flag: --x", "--x"],
    ["WORKDIR", "WORKDIR requires exactly one argument", "WORKDIR"],
    ["STOPSIGNAL", "STOPSIGNAL requires exactly one argument", "STOPSIGNAL"],
    ["MAINTAINER", "MAINTAINER requires exactly one argument", "MAINTAINER"],
    ["EXPOSE", "EXPOSE requires at least one argument", "EXPOSE"],
    ["VOLUME", "VOLUME requires at least one argument", "VOLUME"],
    ["VOLUME []", "VOLUME requires at least one argument", "VOLUME []"],
    ['VOLUME [" "]', "VOLUME specified can not be an empty string", '[" "]'],
    ["SHELL", "SHELL requires at least one argument", "SHELL"],
    ["SHELL []", "SHELL requires at least one argument", "SHELL []"],
    ["SHELL bash -c", "SHELL requires the arguments to be in JSON form", "bash -c"],
    ["ONBUILD", "ONBUILD requires at least one argument", "ONBUILD"],
    ["ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed", "ONBUILD"],
    ["ONBUILD from x", "FROM isn't allowed as an ONBUILD trigger", "from"],
    ["ONBUILD MAINTAINER x", "MAINTAINER isn't allowed as an ONBUILD trigger", "MAINTAINER"],
    ["ONBUILD --x RUN y", "unknown flag: --x", "--x"],
    ["HEALTHCHECK", "HEALTHCHECK requires at least one argument", "HEALTHCHECK"],
    ["HEALTHCHECK NONE x", "HEALTHCHECK NONE takes no arguments", "HEALTHCHECK NONE x"],
    ["HEALTHCHECK CMD", "Missing command after HEALTHCHECK CMD", "HEALTHCHECK CMD"],
    ["HEALTHCHECK CMD []", "Missing command after HEALTHCHECK CMD", "HEALTHCHECK CMD []"],
    ["HEALTHCHECK foo x", 'Unknown type "FOO" in HEALTHCHECK (try CMD)', "foo"],
    ["HEALTHCHECK --intervall=5s CMD x", "unknown flag: --intervall (did you mean interval?)", "--intervall=5s"],
    ["HEALTHCHECK --interval=5 CMD x", 'time: missing unit in duration "5"', "HEALTHCHECK --interval=5 CMD x"],
    ["HEALTHCHECK --timeout=5us CMD x", 'Interval "timeout" cannot be less than 1ms', "HEALTHCHECK --timeout=5us CMD x"],
    ["HEALTHCHECK --start-period=-1s CMD x", 'Interval "start-period" cannot be less than 1ms', "HEALTHCHECK --start-period=-1s CMD x"],
    ["HEALTHCHECK --retries=x CMD x", 'strconv.ParseInt: parsing "x": invalid syntax', "HEALTHCHECK --retries=x CMD x"],
    [
      "HEALTHCHECK --retries=9999999999 CMD x",
      'strconv.ParseInt: parsing "9999999999": value out of range',
      "HEALTHCHECK --retries=9999999999 CMD x",
    ],
    ["HEALTHCHECK --retries=-1 CMD x", "--retries cannot be negative (-1)", "HEALTHCHECK --retries=-1 CMD x"],
    ["FROM", "FROM requires either one or three arguments", "FROM"],
    ["FROM a b", "FROM requires either one or three arguments", "FROM a b"],
    ["FROM a b c", "FROM requires either one or three arguments", "FROM a b c"],
    ["FROM a AS 1x", 'invalid name for build stage: "1x", name can\'t start with a number or contain symbols', "1x"],
    ["FROM a AS x/y", 'invalid name for build stage: "x/y", name can\'t start with a number or contain symbols', "x/y"],
    ["FROM --platfrom=x a", "unknown flag: --platfrom (did you mean platform?)", "--platfrom=x"],
  ])("%j", (line, message, word) => {
    const error = failure(`FROM scratch\n\n  ${line}`);
    expect(error.message).toBe(`dockerfile parse error on line 3: ${message}`);
    expect(pointedAt(error)).toBe(word);
  });
});

describe("a file that cannot be split into instructions", () => {
  test.each<[text: string, message: string, word: string]>([
    ["FROM x\nENV a", "ENV must have two arguments", "a"],
    ["FROM x\nBOGUS\nlabel a", "LABEL must have two arguments", "a"],
    ["FROM x\nENV a=b c", `Syntax error - can't find = in "c". Must be of the form: name=value`, "c"],
    ["FROM x\nLABEL a=b \\\n  'c d'", `Syntax error - can't find = in "'c d'". Must be of the form: name=value`, "'c d'"],
    ['FROM x\nCMD ["a", 1]', "when using JSON array syntax, arrays must be comprised of strings only", '["a", 1]'],
    ['FROM x\nHEALTHCHECK CMD ["a", []]', "when using JSON array syntax, arrays must be comprised of strings only", '["a", []]'],
    ["FROM x\nONBUILD CMD [null]", "when using JSON array syntax, arrays must be comprised of strings only", "[null]"],
    ["FROM x\nRUN <<EOF\nx", "unterminated heredoc", "RUN <<EOF"],
    ["# escape=x\nFROM x", "invalid escape token 'x' does not match ` or \\", "# escape=x"],
    ["", "file with no instructions", ""],
    ["# a\n\n", "file with no instructions", ""],
  ])("%j", (text, message, word) => {
    const error = failure(text);
    expect(error.message).toBe(`failed to parse Dockerfile: ${message}`);
    expect(pointedAt(error)).toBe(word);
  });
});

test("what comes before a FROM", () => {
  const error = failure("ARG a\nRUN x \\\n y\n");
  expect(error.message).toBe("no build stage in current context");
  expect(pointedAt(error)).toBe("RUN x \\\n y");
});

test("the file's own name in the message", () => {
  expect(() => parseDockerfile("ENV a", "build/app.Dockerfile")).toThrow(
    "failed to parse build/app.Dockerfile: ENV must have two arguments",
  );
});

describe("the excerpt", () => {
  test.each([
    ["FROM x\nCOPY --form=y a /b\n", "2 | COPY --form=y a /b\n  |      ^^^^^^^^"],
    ["FROM x\n\tUSER\t--x y\n", "2 |  USER --x y\n  |       ^^^"],
    ["FROM x\r\nBOGUS\r\n", "2 | BOGUS\n  | ^^^^^"],
    ["\ufeffBOGUS\n", "1 | BOGUS\n  | ^^^^^"],
    ["FROM x\n\n\n\n\n\n\n\n\nCOPY \\\n  a\n", "10 | COPY \\\n11 |   a"],
    ["FROM x\nBOG\u0007US\n", "2 | BOG?US\n  | ^^^^^^"],
    ["FROM x\nRUN <<EOF\n" + "x\n".repeat(50), "2 | RUN <<EOF\n  | ^^^^^^^^^"],
  ])("%j", (text, expected) => {
    expect(failure(text).excerpt()).toBe(expected);
  });

  test("long lines and long ranges are cut", () => {
    const source = `${"x".repeat(1000)}\n`.repeat(100);
    const shown = excerpt(source, { start: { line: 1, column: 0 }, end: { line: 100, column: 5 } });
    expect(shown.split("\n").length).toBeLessThan(20);
    expect(shown.length).toBeLessThan(2000);
    expect(excerpt(source, { start: { line: 2, column: 900 }, end: { line: 2, column: 905 } })).toMatch(/^2 \| x+$/);
    expect(excerpt("", { start: { line: 1, column: 0 }, end: { line: 1, column: 0 } })).toBe("1 | \n  | ^");
  });
});

describe("limits", () => {
  test.each([
    [`FROM x\n${"RUN y\n".repeat(MAX_INSTRUCTIONS)}`, `failed to parse Dockerfile: more than ${MAX_INSTRUCTIONS} instructions`],
    [`FROM x\n#${"x".repeat(MAX_DOCKERFILE_BYTES)}`, `at most ${MAX_DOCKERFILE_BYTES} are read`],
    [`FROM x\nRUN ${"<<a ".repeat(MAX_HEREDOCS_A_LINE + 1)}\n`, `more than ${MAX_HEREDOCS_A_LINE} heredocs on one line`],
  ])("%#", (text, message) => {
    expect(failure(text).message).toContain(message);
  });

  test("however deep it goes", () => {
    expect(failure(`FROM x\n${"ONBUILD ".repeat(8000)}RUN x`).message).toContain("Chaining ONBUILD");
    expect(parseDockerfile(`FROM x\nCMD ${"[".repeat(60_000)}`).instructionCount).toBe(2);
  });
});
