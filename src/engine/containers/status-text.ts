import type { Container } from "./container.ts";

/** The column STATUS of `docker ps`, which the daemon makes (moby container/state.go). */
export function statusText({ state }: Pick<Container, "state">, nowNs: bigint): string {
  switch (state.status) {
    case "created":
      return "Created";
    case "running":
      return `Up ${humanDuration(nowNs - state.startedAtNs)}${state.paused ? " (Paused)" : ""}`;
    case "restarting":
      return `Restarting (${state.ended.exitCode}) ${humanDuration(nowNs - state.ended.finishedAtNs)} ago`;
    case "exited":
      return `Exited (${state.ended.exitCode}) ${humanDuration(nowNs - state.ended.finishedAtNs)} ago`;
    case "removing":
      return "Removal In Progress";
    case "dead":
      return "Dead";
  }
}

/** A duration as people say it (go-units HumanDuration). */
export function humanDuration(ns: bigint): string {
  const seconds = Math.trunc(Number(ns) / 1e9);
  if (seconds < 1) return "Less than a second";
  if (seconds === 1) return "1 second";
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.trunc(seconds / 60);
  if (minutes === 1) return "About a minute";
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.trunc(Number(ns) / 3.6e12 + 0.5);
  if (hours === 1) return "About an hour";
  if (hours < 48) return `${hours} hours`;
  if (hours < 24 * 7 * 2) return `${Math.trunc(hours / 24)} days`;
  if (hours < 24 * 30 * 2) return `${Math.trunc(hours / 24 / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.trunc(hours / 24 / 30)} months`;
  return `${Math.trunc(Math.trunc(Number(ns) / 3.6e12) / 24 / 365)} years`;
}
