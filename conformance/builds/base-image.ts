import { readFileSync } from "node:fs";

import { type Entry, tar } from "../../src/testing/tar.ts";
import type { Engine } from "./engine.ts";
import { BASE } from "./observe.ts";

/** What `FROM base` is: a busybox with a few files to copy over, delete and own, the same bytes in every engine. */
export async function importBase(engine: Engine): Promise<void> {
  const answer = await engine.api(
    "POST",
    `/images/create?fromSrc=-&repo=${BASE}&tag=latest&changes=${encodeURIComponent('CMD ["sh"]')}`,
    archive(),
  );
  if (answer.status !== 200 || answer.text.includes("errorDetail")) throw new Error(`importing the base image: ${answer.text}`);
}

const APPLETS =
  "sh cat ls echo rm mkdir rmdir mv cp ln chmod chown touch id test [ true false sleep seq printf env dd mknod mkfifo head tail tr find sort stat wc " +
  "sha256sum pwd hostname kill grep sed cut readlink expr tar gzip ip nc nslookup mount df date xargs awk whoami su";

function archive(): Buffer {
  const folder = (name: string, mode = 0o755): Entry => ({ name: `${name}/`, type: "directory", mode });
  const file = (name: string, content: string, more: Partial<Entry> = {}): Entry => ({ name, content, ...more });
  return tar(
    folder("bin"),
    { name: "bin/busybox", mode: 0o755, content: readFileSync("/bin/busybox") },
    ...APPLETS.split(" ").map((name): Entry => ({ name: `bin/${name}`, type: "symlink", link: "busybox", mode: 0o777 })),
    ...["dev", "etc", "home", "proc", "sys", "usr", "var"].map((name) => folder(name)),
    file("etc/group", "root:x:0:\nstaff:x:50:app\nusers:x:100:\napp:x:1000:\n"),
    file("etc/passwd", "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/home:/bin/sh\nweb:x:1001:100:web:/home:/bin/sh\n"),
    folder("root", 0o700),
    folder("tmp", 0o1777),
    folder("opt"),
    file("opt/file", "file\n"),
    folder("opt/full"),
    file("opt/full/a", "a\n"),
    file("opt/full/b", "b\n", { mode: 0o600, owner: [1000, 1000] }),
    folder("opt/full/inner"),
    file("opt/full/inner/c", "c\n"),
    { name: "opt/link-to-file", type: "symlink", link: "file", mode: 0o777 },
    { name: "opt/link-to-full", type: "symlink", link: "/opt/full", mode: 0o777 },
    { name: "opt/link-to-nothing", type: "symlink", link: "nothing", mode: 0o777 },
    { name: "opt/link-up", type: "symlink", link: "../../../../opt/full", mode: 0o777 },
    folder("opt/private", 0o750),
  );
}
