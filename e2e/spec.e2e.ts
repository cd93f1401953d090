import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

import { openBench, type Bench } from "./spec/bundle.ts";

/** What a container's settings mean: what it sees under each runtime that is installed. */

let bench: Bench;
beforeAll(async () => {
  bench = await openBench();
});
afterAll(() => bench.close());

const runtimes = ["crun", "runc"].filter((name) => spawnSync(name, ["--version"], { stdio: "ignore" }).status === 0);

test("there is a runtime", () => expect(runtimes).not.toEqual([]));

describe.each(runtimes)("%s", (runtime) => {
  const output = async (script: string, asked?: Parameters<Bench["run"]>[2]): Promise<string> => {
    const { output: text } = await bench.run(runtime, script, asked);
    return text.trim();
  };

  test("the plain container: capabilities, seccomp, limits, files", async () => {
    const status = await output("grep -E '^(Cap|Seccomp:|NoNew)' /proc/self/status");
    expect(status).toMatch(/CapInh:\s0000000000000000/);
    expect(status).toMatch(/CapAmb:\s0000000000000000/);
    for (const set of ["Prm", "Eff", "Bnd"]) expect(status).toMatch(new RegExp(`Cap${set}:\\s00000000a80425fb`));
    expect(status).toMatch(/Seccomp:\s2/);
    expect(status).toMatch(/NoNewPrivs:\s0/);
    expect(await output("ulimit -n; hostname; echo $HOME; echo $HOSTNAME; cat /proc/self/oom_score_adj; ls /proc/self/fd | wc -l")).toBe(
      ["1024", "box", "/root", "box", String(Math.max(0, bench.host.oomScoreAdj)), "4"].join("\n"),
    );
  });

  test("what is masked is empty, what is read-only refuses, what is left out is not there", async () => {
    expect(await output("cat /proc/timer_list /proc/keys | wc -c; ls /sys/firmware | wc -l")).toBe("0\n0");
    expect(await output("echo 1 > /proc/sys/kernel/hostname")).toContain("Read-only file system");
    expect(await output("mkdir /sys/fs/cgroup/pids/x /sys/fs/cgroup/x 2>&1; mkdir /sys/x")).not.toBe("");
    expect(await output("ls /dev/fuse /dev/vda /dev/kmsg")).toMatch(/(No such file[^]*){3}/);
    expect(await output("echo x > /dev/full")).toContain("No space left on device");
  });

  test("read-only root, tmpfs, and a bind whose submounts are read-only, too", async () => {
    const outer = path.join(bench.folder, `outer-${runtime}`);
    mkdirSync(path.join(outer, "inner"), { recursive: true });
    spawnSync("mount", ["-t", "tmpfs", "inner", path.join(outer, "inner")]);
    try {
      const asked = { host: { ReadonlyRootfs: true, Binds: [`${outer}:/b:ro`], Tmpfs: { "/run": "size=64k,exec,mode=700", "/t": "" } } };
      const text = await output(
        "touch /x; touch /b/x; touch /b/inner/x; touch /run/ok /t/ok /dev/shm/ok && echo fine; mount | grep -E ' (/run|/t) '",
        asked,
      );
      expect(text).toMatch(/(Read-only file system[^]*){3}fine/);
      expect(text).toMatch(/ \/run type tmpfs \(rw,nosuid,nodev,relatime,size=64k,mode=700/);
      expect(text).toMatch(/ \/t type tmpfs \(rw,nosuid,nodev,noexec,relatime/);
      expect(readdirSync(outer)).toEqual(["inner"]);
    } finally {
      spawnSync("umount", [path.join(outer, "inner")]);
    }
  });

  test("-v makes its source; a file is bound as a file", async () => {
    const made = path.join(bench.folder, `made-${runtime}`);
    const file = path.join(bench.folder, `file-${runtime}`);
    writeFileSync(file, "content");
    expect(await output("touch /m/here; cat /etc/f", { host: { Binds: [`${made}:/m`, `${file}:/etc/f:ro`] } })).toBe("content");
    expect(readdirSync(made)).toEqual(["here"]);
  });

  test("users and groups of the image", async () => {
    expect(await output("id", { config: { User: "bob" } })).toMatch(
      /^uid=1000\(bob\) gid=1000\(bob\) groups=(29\(audio\),1000\(bob\)|1000\(bob\),29\(audio\))$/,
    );
    expect(await output("id; echo $HOME", { config: { User: "4242:4343" }, host: { GroupAdd: ["audio"] } })).toMatch(
      /^uid=4242 gid=4343 groups=(29\(audio\),4343|4343,29\(audio\))\n\/$/,
    );
    const status = await output("grep -E '^Cap(Eff|Bnd)' /proc/self/status", { config: { User: "bob" } });
    expect(status).toMatch(/CapEff:\s0000000000000000\nCapBnd:\s00000000a80425fb/);
  });

  test("identity: names, variables, folder, init, no new privileges", async () => {
    const asked = {
      config: { Hostname: "jar", Domainname: "clay.example", Env: ["A=1 2", "PATH=/bin"], WorkingDir: "/made/here" },
      host: { Init: true, SecurityOpt: ["no-new-privileges"], OomScoreAdj: 300, Sysctls: { "net.core.somaxconn": "100" } },
    };
    const text = await output(
      "hostname; cat /proc/sys/kernel/domainname; echo $A; echo $PATH; readlink /proc/self/cwd; readlink /proc/1/exe; " +
        "grep NoNew /proc/self/status; cat /proc/self/oom_score_adj /proc/sys/net/core/somaxconn /proc/sys/net/ipv4/ip_unprivileged_port_start",
      asked,
    );
    expect(text.split("\n")).toEqual([
      "jar",
      "clay.example",
      "1 2",
      "/bin",
      "/made/here",
      "/sbin/docker-init",
      "NoNewPrivs:\t1",
      "300",
      "100",
      "0",
    ]);
  });

  test("limits are in the cgroup's files", async () => {
    const host = {
      Memory: 64 * 1024 * 1024,
      MemorySwap: 96 * 1024 * 1024,
      CpuShares: 512,
      NanoCpus: 1_500_000_000,
      CpusetCpus: "0",
      PidsLimit: 50,
      Ulimits: [{ Name: "nofile", Soft: 100, Hard: 200 }],
    };
    const isUnified = bench.host.cgroups.mode === "v2";
    const files = isUnified
      ? "memory.max memory.swap.max cpu.max cpuset.cpus pids.max"
      : "memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes cpu/cpu.shares cpu/cpu.cfs_quota_us cpuset/cpuset.cpus pids/pids.max";
    const own = isUnified
      ? ""
      : 'for f in $FILES; do c=${f%%/*}; d=$(grep -E "[:,]$c[:,]" /proc/self/cgroup | head -n1); d=${d##*:}; cat /sys/fs/cgroup/$c/${f##*/}; done';
    const script = isUnified ? `cd /sys/fs/cgroup; cat ${files}` : `FILES="${files}"; ${own}`;
    const text = await output(`ulimit -n; ulimit -Hn; ${script}`, { host });
    const limits = isUnified ? ["67108864", "33554432", "150000 100000", "0", "50"] : ["67108864", "100663296", "512", "150000", "0", "50"];
    expect(text.split("\n")).toEqual(["100", "200", ...limits]);
  });

  test("--privileged: all we can give, the host's devices, nothing masked", async () => {
    const text = await output(
      "grep -E '^(CapEff|Seccomp:)' /proc/self/status; ls /sys/firmware | wc -l; mount | grep -E ' /sys '; ls /dev | wc -l",
      {
        host: { Privileged: true },
      },
    );
    const bits = [...bench.host.capabilities].length;
    const effective = BigInt(`0x${/CapEff:\s([0-9a-f]+)/.exec(text)?.[1] ?? "0"}`);
    expect(effective.toString(2).replaceAll("0", "")).toHaveLength(bits);
    expect(text).toMatch(/Seccomp:\s0/);
    expect(text).toMatch(/ \/sys type sysfs \(rw/);
    expect(Number(text.split("\n").at(-1))).toBeGreaterThan(20);
  });

  test("host's namespaces are the host's", async () => {
    const links = spawnSync("readlink", ["/proc/self/ns/net", "/proc/self/ns/uts", "/proc/self/ns/ipc"], {
      encoding: "utf8",
    }).stdout.trim();
    const asked = { host: { NetworkMode: "host", UTSMode: "host", IpcMode: "host" } };
    expect(await output("readlink /proc/self/ns/net; readlink /proc/self/ns/uts; readlink /proc/self/ns/ipc", asked)).toBe(links);
  });

  test("exec: the container's own, with what exec says over it; --privileged for it alone", async () => {
    const asked = { config: { Env: ["A=1", "B=1"], WorkingDir: "/tmp", User: "bob" }, host: { CapDrop: ["ALL"] } };
    const script = "id -u; echo $A $B $C; readlink /proc/self/cwd; grep -E '^(CapBnd|Seccomp:)' /proc/self/status; ulimit -n";
    const plain = await bench.exec(runtime, script, asked, { Env: ["B=2", "C=3"] });
    const [openFiles, ...seen] = plain.output.trim().split("\n").toReversed();
    expect(seen.toReversed()).toEqual(["1000", "1 2 3", "/tmp", "CapBnd:\t0000000000000000", "Seccomp:\t2"]);
    // Debian 12's runc 1.1.5 gives an exec its own limit, whatever it was told.
    expect(runtime === "crun" ? openFiles : "1024").toBe("1024");
    const strong = await bench.exec(runtime, "id -u; grep CapEff /proc/self/status; readlink /proc/self/cwd", asked, {
      User: "root",
      Privileged: true,
      WorkingDir: "/",
    });
    const [uid, caps = "", cwd] = strong.output.trim().split("\n");
    expect([uid, cwd]).toEqual(["0", "/"]);
    expect(caps).not.toContain("0000000000000000");
  });
});
