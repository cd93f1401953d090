import { EngineError } from "../../base/errors.ts";
import { KeyedLock } from "../../base/locks.ts";
import type { Database } from "../../store/database.ts";
import { decodeContainer, encodeContainer, type Container } from "./container.ts";

/**
 * All containers of the daemon: in memory for reading, in the table `containers` for keeping. Looking up and listing never wait for a
 * lock, so that one stuck container cannot hang `ps`.
 */
export interface ContainerSet {
  /** By id, name (with or without slash), or unambiguous id prefix. */
  get(nameOrId: string): Container;
  find(nameOrId: string): Container | undefined;
  all(): Container[];

  /** Takes a name, or rejects with whom it belongs to; `release` gives it back if no container was added. */
  reserveName(name: string, id: string): { release: () => void };
  /** Adds a new container; durable, as what follows, unless it was made with --rm. */
  add(container: Container): Promise<void>;
  /** Writes the container's present state; durable when it resolves. */
  save(container: Container): Promise<void>;
  /** Writes the state without waiting for the disk: for what a restart finds out again by itself. */
  saveSoon(container: Container): void;
  rename(container: Container, newName: string): Promise<void>;
  delete(container: Container): Promise<void>;

  /** Runs `work` after all other work on this container. */
  locked<T>(container: Container, work: () => Promise<T>): Promise<T>;
}

/** Who names a volume, by its name. */
export function volumeUsers(containers: readonly Container[]): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const { id, mounts } of containers) {
    const names = new Set(mounts.filter(({ type }) => type === "volume").map(({ name }) => name));
    for (const name of names) users.set(name, [...(users.get(name) ?? []), id]);
  }
  return users;
}

/** Shortest id prefix that is looked up. */
const ID_PREFIX = /^[0-9a-f]{1,64}$/;

export function openContainerSet(database: Database): ContainerSet {
  const byId = new Map<string, Container>();
  const idByName = new Map<string, string>();
  const locks = new KeyedLock();
  for (const row of database.sql.prepare("SELECT record FROM containers").all()) {
    const container = decodeContainer(String(row["record"]));
    byId.set(container.id, container);
    idByName.set(container.name, container.id);
  }

  const find = (nameOrId: string): Container | undefined => {
    const exact = byId.get(nameOrId) ?? byId.get(idByName.get(nameOrId.replace(/^\//, "")) ?? "");
    if (exact !== undefined || !ID_PREFIX.test(nameOrId)) return exact;
    let match: Container | undefined;
    for (const container of byId.values()) {
      if (!container.id.startsWith(nameOrId)) continue;
      if (match !== undefined) throw new EngineError("invalid", `multiple IDs found with provided prefix: ${nameOrId}`);
      match = container;
    }
    return match;
  };
  const writeRow = (container: Container): void => {
    database.write((sql) =>
      sql.prepare("UPDATE containers SET name = ?, record = ? WHERE id = ?").run(container.name, encodeContainer(container), container.id),
    );
  };
  /** A container run with --rm goes with the machine in any case: nobody waits for the disk to have it. */
  const settled = async (container: Container): Promise<void> => {
    if (!container.hostConfig.AutoRemove) await database.durable();
  };

  return {
    find,
    get(nameOrId) {
      const container = find(nameOrId);
      if (container === undefined) throw new EngineError("notFound", `No such container: ${nameOrId}`);
      return container;
    },
    all: () => [...byId.values()],

    reserveName(name, id) {
      const owner = idByName.get(name);
      if (owner !== undefined) {
        throw new EngineError(
          "conflict",
          `Conflict. The container name "/${name}" is already in use by container "${owner}". You have to remove (or rename) that container to be able to reuse that name.`,
        );
      }
      idByName.set(name, id);
      return {
        release: () => {
          if (idByName.get(name) === id) idByName.delete(name);
        },
      };
    },
    async add(container) {
      database.write((sql) =>
        sql
          .prepare("INSERT INTO containers (id, name, record) VALUES (?, ?, ?)")
          .run(container.id, container.name, encodeContainer(container)),
      );
      await settled(container);
      byId.set(container.id, container);
    },
    async save(container) {
      writeRow(container);
      await settled(container);
    },
    saveSoon: writeRow,
    async rename(container, newName) {
      const oldName = container.name;
      container.name = newName;
      try {
        writeRow(container);
      } catch (error) {
        container.name = oldName;
        throw error;
      }
      idByName.delete(oldName);
      await settled(container);
    },
    async delete(container) {
      database.write((sql) => sql.prepare("DELETE FROM containers WHERE id = ?").run(container.id));
      await settled(container);
      byId.delete(container.id);
      if (idByName.get(container.name) === container.id) idByName.delete(container.name);
    },
    locked: (container, work) => locks.run(container.id, work),
  };
}
