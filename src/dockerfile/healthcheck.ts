/** HEALTHCHECK: the command, and how often it is run. */
import { messageOf } from "../base/errors.ts";
import { parseDuration } from "./duration.ts";
import { type Fail, parseFlags } from "./flags.ts";
import type { Statement } from "./statement.ts";
import type { HealthcheckInstruction } from "./syntax.ts";

type HealthFields = Pick<HealthcheckInstruction, "test" | "intervalNs" | "timeoutNs" | "startPeriodNs" | "startIntervalNs" | "retries">;

const MIN_INTERVAL_NS = 1e6;
const HEALTH_FLAGS = { interval: "text", timeout: "text", "start-period": "text", "start-interval": "text", retries: "text" } as const;

/** `none`, or a command with its intervals. */
export function parseHealthcheck(statement: Statement, fail: Fail): HealthFields {
  const [type, ...command] = statement.args.map(({ text }) => text);
  const none = { intervalNs: 0, timeoutNs: 0, startPeriodNs: 0, startIntervalNs: 0, retries: 0 };
  if (type?.toUpperCase() === "NONE") {
    if (command.length > 0) fail("HEALTHCHECK NONE takes no arguments");
    return { test: ["NONE"], ...none };
  }
  const flags = parseFlags(statement.flags, HEALTH_FLAGS, fail);
  if (type?.toUpperCase() !== "CMD")
    fail(`Unknown type ${JSON.stringify(type?.toUpperCase())} in HEALTHCHECK (try CMD)`, statement.args[0]);
  if (command.length === 0) fail("Missing command after HEALTHCHECK CMD");
  const interval = (name: "interval" | "timeout" | "start-period" | "start-interval"): number => intervalOf(name, flags[name], fail);
  return {
    test: [statement.isJson ? "CMD" : "CMD-SHELL", ...command],
    intervalNs: interval("interval"),
    timeoutNs: interval("timeout"),
    startPeriodNs: interval("start-period"),
    startIntervalNs: interval("start-interval"),
    retries: retriesOf(flags.retries, fail),
  };
}

function intervalOf(name: string, text: string | undefined, fail: Fail): number {
  if (text === undefined || text === "") return 0;
  let durationNs: number;
  try {
    durationNs = parseDuration(text);
  } catch (error) {
    fail(messageOf(error));
  }
  if (durationNs !== 0 && durationNs < MIN_INTERVAL_NS) fail(`Interval ${JSON.stringify(name)} cannot be less than 1ms`);
  return durationNs;
}

function retriesOf(text: string | undefined, fail: Fail): number {
  if (text === undefined || text === "") return 0;
  if (!/^[+-]?\d+$/.test(text)) fail(`strconv.ParseInt: parsing ${JSON.stringify(text)}: invalid syntax`);
  const retries = Number(text);
  if (Math.abs(retries) > 0x7fff_ffff) fail(`strconv.ParseInt: parsing ${JSON.stringify(text)}: value out of range`);
  if (retries < 0) fail(`--retries cannot be negative (${retries})`);
  return retries;
}
