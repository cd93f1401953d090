import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, rmdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";

import { encodeJson } from "../../src/api/json.ts";
import { ensureBindSources, readBindFacts } from "../../src/engine/containers/bind-sources.ts";
import { checkCreate } from "../../src/engine/containers/create-checks.ts";
import { buildExecProcess } from "../../src/engine/containers/exec-process.ts";
import { lookUpDevices } from "../../src/engine/containers/host-devices.ts";
import { buildSpec } from "../../src/engine/containers/oci-spec.ts";
import { sampleBody, sampleContainer, SAMPLE_DEFAULTS } from "../../src/engine/containers/test-samples.ts";
import { resolveUser } from "../../src/engine/containers/user.ts";
import { execConfig } from "../../src/api/container-config.ts";
import { cgroupFolders, ensureCrunCanRun, readCgroupLayout } from "../../src/kernel/cgroup-layout.ts";
import { readHostFacts, type HostFacts } from "../../src/kernel/host.ts";

/**
 * A folder with a busybox root file system in which create requests become bundles and run under a real runtime, without daemon or keeper:
 * what a spec means is what the container sees.
 */
export interface Bench {
  host: HostFacts;
  /** Of this bench alone; bind sources go here. */
  folder: string;
  initPath: string | undefined;
  /** Creates, starts and waits for a container that runs `script` in a shell. */
  run(runtime: string, script: string, asked?: Asked): Promise<Outcome>;
  /** Runs `script` by exec in a container that sleeps. */
  exec(runtime: string, script: string, asked: Asked, exec: Record<string, unknown>): Promise<Outcome>;
  close(): void;
}

export interface Asked {
  config?: Record<string, unknown>;
  host?: Record<string, unknown>;
}

export interface Outcome {
  output: string;
  exitCode: number | null;
  warnings: string[];
}

const APPLETS = "sh cat echo sleep true id ls mount hostname env grep ulimit touch stat wc head tr readlink dnsdomainname mkdir".split(" ");
/** A dynamic one would look for its libraries in the image. */
const STATIC_INITS = ["/usr/bin/docker-init", "/usr/bin/tini-static", "/usr/bin/catatonit"];
const TIMEOUT_MS = 20_000;

export async function openBench(): Promise<Bench> {
  const host = readHostFacts(await ensureCrunCanRun(readCgroupLayout()));
  const folder = mkdtempSync("/tmp/tsubo-spec-");
  const rootfs = path.join(folder, "rootfs");
  makeRootfs(rootfs);
  const cgroupParent = `/${path.basename(folder)}`;
  const initPath = STATIC_INITS.find((file) => existsSync(file));
  let count = 0;

  const prepare = async (
    script: string,
    asked: Asked,
  ): Promise<{ id: string; bundle: string; container: ReturnType<typeof sampleContainer>; warnings: string[] }> => {
    const checked = await checkCreate({
      body: sampleBody({
        Image: "",
        Cmd: ["sh", "-c", `exec 2>&1; ${script}`],
        ...asked.config,
        HostConfig: { NetworkMode: "none", ...asked.host },
      }),
      findImage: () => undefined,
      host,
      settings: {
        runtimes: new Map([["any", {}]]),
        defaultRuntime: "any",
        logs: { type: "json-file", options: new Map() },
        defaults: SAMPLE_DEFAULTS,
      },
      containers: { find: () => undefined },
      dataRoot: "/nowhere",
    });
    count += 1;
    const id = `${path.basename(folder)}-${count}`;
    const config = { ...checked.config, Hostname: checked.config.Hostname || "box" };
    const { hostConfig, command, mounts } = checked;
    const container = sampleContainer({}, { id, config, hostConfig, command, mounts });
    await ensureBindSources(container);
    const binds = await readBindFacts(mounts);
    const spec = buildSpec({
      container,
      host,
      rootfsPath: rootfs,
      user: await resolveUser(rootfs, config.User, hostConfig.GroupAdd ?? []),
      devices: await lookUpDevices(hostConfig),
      binds,
      joined: {},
      files: {},
      cgroupParent,
      initPath,
      defaults: SAMPLE_DEFAULTS,
    });
    const bundle = path.join(folder, id);
    mkdirSync(bundle);
    writeFileSync(path.join(bundle, "config.json"), encodeJson(spec));
    return { id, bundle, container, warnings: checked.warnings };
  };
  const call = (runtime: string, args: string[]): { output: string; exitCode: number | null } => {
    const { stdout, stderr, status } = spawnSync(runtime, ["--root", path.join(folder, runtime), ...args], {
      encoding: "utf8",
      timeout: TIMEOUT_MS,
      stdio: ["ignore", "pipe", "pipe"],
    });
    return { output: stdout + stderr, exitCode: status };
  };

  return {
    host,
    folder,
    initPath,
    async run(runtime, script, asked = {}) {
      const { id, bundle, warnings } = await prepare(script, asked);
      return { ...call(runtime, ["run", "--bundle", bundle, id]), warnings };
    },
    async exec(runtime, script, asked, exec) {
      const { id, bundle, container, warnings } = await prepare("sleep 60", asked);
      const config = execConfig.decode({ Cmd: ["sh", "-c", script], ...exec }, "");
      const user = await resolveUser(rootfs, config.User || container.config.User, []);
      const processFile = path.join(bundle, "process.json");
      writeFileSync(
        processFile,
        encodeJson(buildExecProcess({ container, config, user, host, defaults: SAMPLE_DEFAULTS, linkEnvironment: [] })),
      );
      // Its output goes nowhere: a pipe would be held open until it ends.
      spawnSync(runtime, ["--root", path.join(folder, runtime), "run", "--detach", "--bundle", bundle, id], { stdio: "ignore" });
      try {
        return { ...call(runtime, ["exec", "--process", processFile, id]), warnings };
      } finally {
        call(runtime, ["delete", "--force", id]);
      }
    },
    close() {
      rmSync(folder, { recursive: true });
      for (const group of cgroupFolders(host.cgroups, cgroupParent)) if (existsSync(group)) rmdirSync(group);
    },
  };
}

function makeRootfs(rootfs: string): void {
  for (const name of ["bin", "etc", "tmp", "root", "proc", "sys", "dev"]) mkdirSync(path.join(rootfs, name), { recursive: true });
  copyFileSync("/bin/busybox", path.join(rootfs, "bin/busybox"));
  for (const applet of APPLETS) symlinkSync("busybox", path.join(rootfs, "bin", applet));
  writeFileSync(path.join(rootfs, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000:Bob:/home/bob:/bin/sh\n");
  writeFileSync(path.join(rootfs, "etc/group"), "root:x:0:\nbob:x:1000:\naudio:x:29:bob\n");
}
