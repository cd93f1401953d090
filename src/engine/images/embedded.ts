import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

import { codeOf } from "../../base/errors.ts";
import { findRecord } from "./find.ts";
import { importImage } from "./import.ts";
import type { ImageEngine } from "./open-images.ts";
import { tarArchive, type TarItem } from "./tar-archive.ts";

const IMAGE_NAME = "busybox";
const PROGRAM = "/bin/busybox";
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const LIST_TIMEOUT_MS = 5000;
/** The files' time, fixed so that the same busybox gives the same layer on every machine. */
const MODIFIED_SECONDS = 1_704_067_200;

/**
 * Makes `busybox:latest` from the host's static busybox when no image has that name, so that there is something to run without any
 * registry. Never touches one that was pulled. False when there is nothing to do, or no static busybox to make it from.
 */
export async function ensureEmbeddedBusybox(engine: ImageEngine): Promise<boolean> {
  if (findRecord(engine.store, IMAGE_NAME) !== undefined) return false;
  const program = await readProgram();
  if (program === undefined || !isStatic(program)) {
    engine.log.info(`no embedded busybox image: ${PROGRAM} is ${program === undefined ? "not there" : "not linked statically"}`);
    return false;
  }
  const { stdout } = await promisify(execFile)(PROGRAM, ["--list"], { timeout: LIST_TIMEOUT_MS, env: {} });
  const applets = stdout.split("\n").filter((name) => /^[\w[.-]+$/.test(name) && name !== "busybox");
  const tar = tarArchive(filesOf(program, applets), MODIFIED_SECONDS);
  await importImage(
    engine,
    {
      tar: (async function* () {
        yield* tar;
      })(),
      repository: IMAGE_NAME,
      tag: "latest",
      message: "embedded: made of this machine's busybox",
      changes: [`ENV PATH=${PATH}`, 'CMD ["sh"]'],
    },
    () => undefined,
  );
  return true;
}

function filesOf(program: Buffer, applets: string[]): TarItem[] {
  const folders = ["bin", "dev", "etc", "home", "proc", "sys", "usr", "usr/bin", "usr/sbin", "var", "var/spool", "var/www"];
  return [
    ...folders.map((name): TarItem => ({ type: "directory", name, mode: 0o755 })),
    { type: "directory", name: "root", mode: 0o700 },
    { type: "directory", name: "tmp", mode: 0o1777 },
    { type: "file", name: "bin/busybox", mode: 0o755, content: program },
    ...applets.map((name): TarItem => ({ type: "symlink", name: `bin/${name}`, target: "busybox" })),
    { type: "symlink", name: "usr/bin/env", target: "../../bin/env" },
    textFile("etc/passwd", [
      "root:x:0:0:root:/root:/bin/sh",
      "daemon:x:1:1:daemon:/usr/sbin:/bin/false",
      "bin:x:2:2:bin:/bin:/bin/false",
      "sys:x:3:3:sys:/dev:/bin/false",
      "mail:x:8:8:mail:/var/spool/mail:/bin/false",
      "www-data:x:33:33:www-data:/var/www:/bin/false",
      "operator:x:37:37:Operator:/var:/bin/false",
      "nobody:x:65534:65534:nobody:/home:/bin/false",
    ]),
    textFile("etc/group", [
      "root:x:0:",
      "daemon:x:1:",
      "bin:x:2:",
      "sys:x:3:",
      "adm:x:4:",
      "tty:x:5:",
      "disk:x:6:",
      "wheel:x:10:root",
      "cdrom:x:11:",
      "video:x:28:",
      "www-data:x:33:",
      "users:x:100:",
      "nobody:x:65534:",
    ]),
    textFile("etc/shadow", ["root:*:::::::", "daemon:*:::::::", "nobody:*:::::::"], 0o600),
    textFile("etc/nsswitch.conf", ["passwd: files", "group: files", "hosts: files dns"]),
  ];
}

function textFile(name: string, lines: string[], mode = 0o644): TarItem {
  return { type: "file", name, mode, content: Buffer.from(lines.map((line) => `${line}\n`).join("")) };
}

async function readProgram(): Promise<Buffer | undefined> {
  try {
    return await readFile(PROGRAM);
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

const PT_INTERP = 3;

/** A 64-bit little-endian ELF program without an interpreter. */
function isStatic(program: Buffer): boolean {
  if (program.length < 64 || program.toString("latin1", 0, 6) !== "\u007fELF\u0002\u0001") return false;
  const start = Number(program.readBigUInt64LE(32));
  const size = program.readUInt16LE(54);
  const count = program.readUInt16LE(56);
  for (let index = 0; index < count; index += 1) {
    const at = start + index * size;
    if (at + 4 > program.length || program.readUInt32LE(at) === PT_INTERP) return false;
  }
  return true;
}
