import { rmSync } from "node:fs";
import type { Socket } from "node:net";
import path from "node:path";
import { EngineError } from "../base/errors.ts";
import { failpoint } from "../base/failpoint.ts";
import { KeyedLock } from "../base/locks.ts";
import type { AttachOptions, ContainerSpec, ExecSpec, KeeperEvent, Target, TerminalSize } from "./keeper.ts";
import {
  describe,
  execFolder,
  markFile,
  settleContainer,
  settleExec,
  startedOf,
  type KeeperContext,
  type KeptContainer,
  type KeptExec,
} from "./kept.ts";
import type { WireContainer, WireStarted } from "./protocol.ts";
import { removeRecord } from "./record.ts";
import { startContainer } from "./start-container.ts";
import { startExec } from "./start-exec.ts";
import { fifoPaths } from "./stdio.ts";

/** All containers the keeper holds, and what can be asked of them. Starts and letting go of one container follow one another. */
export class Containers {
  readonly #context: KeeperContext;
  readonly #kept = new Map<string, KeptContainer>();
  readonly #lock = new KeyedLock();
  #starting = 0;

  constructor(context: KeeperContext) {
    this.#context = context;
  }

  /** True when nothing is kept or about to be. */
  get isEmpty(): boolean {
    return this.#kept.size === 0 && this.#starting === 0;
  }

  async start(spec: ContainerSpec): Promise<WireStarted> {
    this.#starting += 1;
    try {
      return await this.#lock.run(spec.id, async () => {
        const earlier = this.#kept.get(spec.id);
        if (earlier !== undefined) {
          if (earlier.exit === undefined) throw new EngineError("conflict", `container ${spec.id} is running already`);
          await this.#forget(earlier);
        }
        const kept = await startContainer(this.#context, spec);
        this.adopt(kept);
        return startedOf(kept, spec.bundlePath);
      });
    } finally {
      this.#starting -= 1;
    }
  }

  /** Takes a container that runs into care. */
  adopt(kept: KeptContainer): void {
    this.#kept.set(kept.spec.id, kept);
    if (kept.exit === undefined) void settleContainer(this.#context, kept);
    for (const exec of kept.execs.values()) if (exec.exit === undefined) void settleExec(this.#context, kept, exec);
  }

  async startExec(spec: ExecSpec): Promise<WireStarted> {
    const kept = this.#running(spec.containerId);
    const exec = await startExec(this.#context, kept, spec);
    void settleExec(this.#context, kept, exec);
    return startedOf(exec, execFolder(kept.spec, spec.execId));
  }

  /** Joins a client to a target, now or when it starts; a target that has ended has nothing more to give. */
  attach(target: Target, socket: Socket, options: AttachOptions): void {
    const found = this.#find(target);
    if (found === undefined) {
      if (!this.#context.attachments.wait(target, socket, options)) socket.destroy();
    } else if (found.exit === undefined) {
      found.io.attach(socket, options);
    } else {
      socket.end();
      socket.resume();
    }
  }

  resize(target: Target, size: TerminalSize): void {
    this.#must(target).io.resize(size);
  }

  async signal(target: Target, signalNumber: number): Promise<boolean> {
    const kept = this.#kept.get(target.containerId);
    const found = this.#must(target);
    if (kept?.runtime.dialect === "other" && target.execId === undefined && found.exit === undefined) {
      return await kept.runtime.kill(kept.spec, signalNumber);
    }
    return found.process.signal(signalNumber);
  }

  async pause(containerId: string): Promise<void> {
    const kept = this.#running(containerId);
    await kept.runtime.pause(kept.spec);
  }

  async unpause(containerId: string): Promise<void> {
    const kept = this.#running(containerId);
    await kept.runtime.resume(kept.spec);
  }

  /** Lets go of a container that has ended. Idempotent. */
  async forget(containerId: string): Promise<void> {
    await this.#lock.run(containerId, async () => {
      const kept = this.#kept.get(containerId);
      if (kept === undefined) return;
      if (kept.exit === undefined) throw new EngineError("conflict", `container ${containerId} is running: the keeper cannot let go of it`);
      await this.#forget(kept);
    });
  }

  list(): WireContainer[] {
    return [...this.#kept.values()].map(describe);
  }

  acknowledge(execs: readonly { containerId: string; execId: string }[]): void {
    for (const { containerId, execId } of execs) {
      const exec = this.#kept.get(containerId)?.execs.get(execId);
      if (exec !== undefined) exec.acknowledged = true;
    }
  }

  /** What a daemon that has just come may not know. */
  unreported(): KeeperEvent[] {
    const events: KeeperEvent[] = [];
    for (const { spec, exit, execs } of this.#kept.values()) {
      for (const exec of execs.values()) {
        if (exec.exit !== undefined && !exec.acknowledged) {
          events.push({ type: "execExit", containerId: spec.id, execId: exec.id, exit: exec.exit });
        }
      }
      if (exit !== undefined) events.push({ type: "exit", containerId: spec.id, exit });
    }
    return events;
  }

  async #forget(kept: KeptContainer): Promise<void> {
    const { spec } = kept;
    try {
      await kept.removal;
    } catch {
      // It was logged when it happened; what stood in the way may be gone now.
      await kept.runtime.remove(spec);
    }
    failpoint("keeper.forget.removed");
    for (const exec of kept.execs.values()) await exec.io.close();
    await kept.io.close();
    for (const file of Object.values(fifoPaths(spec.bundlePath))) rmSync(file, { force: true });
    rmSync(markFile(spec), { force: true });
    rmSync(path.join(spec.bundlePath, "execs"), { recursive: true, force: true });
    removeRecord(spec.bundlePath);
    this.#kept.delete(spec.id);
  }

  #running(containerId: string): KeptContainer {
    const kept = this.#kept.get(containerId);
    if (kept === undefined) throw new EngineError("notFound", `the keeper holds no container ${containerId}`);
    if (kept.exit !== undefined) throw new EngineError("conflict", `container ${containerId} is not running`);
    return kept;
  }

  #find(target: Target): KeptContainer | KeptExec | undefined {
    const kept = this.#kept.get(target.containerId);
    return target.execId === undefined ? kept : kept?.execs.get(target.execId);
  }

  #must(target: Target): KeptContainer | KeptExec {
    const found = this.#find(target);
    if (found === undefined) {
      const what = target.execId === undefined ? `container ${target.containerId}` : `exec ${target.execId}`;
      throw new EngineError("notFound", `the keeper holds no ${what}`);
    }
    return found;
  }
}
