import { closeSync, openSync, unlinkSync, writeSync } from "node:fs";
import { mkdtempSync, rmdirSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import type { Content, Tree, TreeNode } from "./tree.ts";
import { startSum } from "./sums.ts";

/** Files whose content stands in the Dockerfile (`COPY <<EOF /dest`). Owned by root, mode 0644, without a time. */
export class TextTree implements Tree {
  readonly #files: Map<string, Buffer>;

  constructor(files: { name: string; text: string }[]) {
    this.#files = new Map(files.map(({ name, text }) => [Buffer.from(name, "utf8").toString("latin1"), Buffer.from(text, "utf8")]));
  }

  get(name: string): TreeNode | undefined {
    const content = this.#files.get(name);
    if (content === undefined && name !== "") return undefined;
    return {
      path: name,
      type: content === undefined ? "directory" : "file",
      mode: content === undefined ? 0o755 : 0o644,
      user: 0,
      group: 0,
      modified: { seconds: 0, nanoseconds: 0 },
      sizeBytes: content?.length ?? 0,
      target: "",
      major: 0,
      minor: 0,
      attributes: new Map(),
      identity: undefined,
    };
  }

  list(): string[] {
    return [...this.#files.keys()].sort();
  }

  sum(name: string): string {
    const content = this.#files.get(name);
    if (content === undefined) return name;
    const header = { mode: 0o100644, user: 0, group: 0, typeFlag: "0", linkName: "", userName: "", groupName: "", major: 0, minor: 0 };
    return startSum({ ...header, name, sizeBytes: content.length, attributes: new Map() })
      .update(content)
      .digest("hex");
  }

  open(node: TreeNode): Content {
    const content = this.#files.get(node.path) ?? Buffer.alloc(0);
    const folder = mkdtempSync(path.join(tmpdir(), "tsubo-text-"));
    const file = path.join(folder, "text");
    const descriptor = openSync(file, "wx+", 0o600);
    try {
      for (let at = 0; at < content.length;) at += writeSync(descriptor, content, at);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    } finally {
      unlinkSync(file);
      rmdirSync(folder);
    }
    return {
      descriptor,
      isOwned: true,
      segments: content.length === 0 ? [] : [{ at: 0, offset: 0, length: content.length }],
      attributes: node.attributes,
    };
  }

  close(): void {}
}
