import type { ExecConfig } from "../../api/container-config.ts";
import { EngineError } from "../../base/errors.ts";
import type { ProcessUser } from "./user.ts";

/**
 * Execs: processes run inside a running container. They live in memory, with the container's run: Docker forgets them too. Those that still
 * ran when the daemon went away come back from the keeper.
 */
export interface Exec {
  readonly id: string;
  readonly containerId: string;
  readonly config: ExecConfig;
  /** As found in the container's files when it was made; undefined for one that an earlier daemon has started. */
  readonly user: ProcessUser | undefined;
  state: ExecState;
  /** Resolves when the exec has ended and its exit code is known. */
  readonly ended: Promise<void>;
}

export type ExecState =
  | { status: "created" }
  /** `over` resolves when it runs or could not be started. */
  | { status: "starting"; over: Promise<void> }
  | { status: "running"; pid: number }
  | { status: "exited"; pid: number; exitCode: number };

export interface ExecSet {
  add(exec: Pick<Exec, "id" | "containerId" | "config" | "user">, state?: ExecState): Exec;
  get(id: string): Exec;
  of(containerId: string): Exec[];
  /** Records the exit code; the first one counts. */
  exited(id: string, exitCode: number): void;
  /** The container has ended: whatever still ran in it was killed with it. */
  containerEnded(containerId: string): void;
  /** Drops what a container had. */
  forgetContainer(containerId: string): void;
}

/** Ended execs that are kept for inspection, per container; older ones are forgotten. moby sweeps them every five minutes. */
const ENDED_EXECS_KEPT = 64;
const SIGKILL_EXIT_CODE = 137;

export function openExecSet(): ExecSet {
  const byId = new Map<string, Exec>();
  const settle = new Map<string, () => void>();

  const of = (containerId: string): Exec[] => [...byId.values()].filter((exec) => exec.containerId === containerId);
  const exited = (id: string, exitCode: number): void => {
    const exec = byId.get(id);
    if (exec === undefined || exec.state.status === "exited") return;
    exec.state = { status: "exited", pid: exec.state.status === "running" ? exec.state.pid : 0, exitCode };
    settle.get(id)?.();
    settle.delete(id);
    const ended = of(exec.containerId).filter((other) => other.state.status === "exited");
    for (const old of ended.slice(0, Math.max(0, ended.length - ENDED_EXECS_KEPT))) byId.delete(old.id);
  };

  return {
    add(made, state = { status: "created" }) {
      const ended = new Promise<void>((resolve) => settle.set(made.id, resolve));
      const exec: Exec = { ...made, state, ended };
      byId.set(exec.id, exec);
      return exec;
    },
    get(id) {
      const exec = byId.get(id);
      if (exec === undefined) throw new EngineError("notFound", `No such exec instance: ${id}`);
      return exec;
    },
    of,
    exited,
    containerEnded(containerId) {
      for (const exec of of(containerId)) {
        if (exec.state.status === "running" || exec.state.status === "starting") exited(exec.id, SIGKILL_EXIT_CODE);
      }
    },
    forgetContainer(containerId) {
      for (const exec of of(containerId)) {
        byId.delete(exec.id);
        settle.delete(exec.id);
      }
    },
  };
}
