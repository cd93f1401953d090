import { expect, test } from "vitest";

import { cgroupFolders, parseCgroupLayout } from "./cgroup-layout.ts";

const HYBRID = `30 22 0:27 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
31 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
34 30 0:31 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
39 30 0:36 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
40 30 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
50 30 0:31 /docker/abc /elsewhere rw,relatime - cgroup cgroup rw,memory
`;

test("v1 and v2 side by side", () => {
  const layout = parseCgroupLayout(HYBRID, () => "hugetlb\n");
  expect(layout.mode).toBe("hybrid");
  expect(layout.v1.get("cpuacct")).toBe("/sys/fs/cgroup/cpu,cpuacct");
  expect(layout.v1.get("memory")).toBe("/sys/fs/cgroup/memory");
  expect(layout.unified).toEqual({ mountPoint: "/sys/fs/cgroup/unified", controllers: new Set(["hugetlb"]) });
  expect(cgroupFolders(layout, "/tsubo/x")).toEqual([
    "/sys/fs/cgroup/cpu,cpuacct/tsubo/x",
    "/sys/fs/cgroup/memory/tsubo/x",
    "/sys/fs/cgroup/systemd/tsubo/x",
    "/sys/fs/cgroup/unified/tsubo/x",
  ]);
});

test("v2 alone, v1 alone, nothing", () => {
  const unified = "24 22 0:22 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
  const v2 = parseCgroupLayout(unified, () => "cpuset cpu io memory pids\n");
  expect(v2.mode).toBe("v2");
  expect(v2.unified?.controllers.has("memory")).toBe(true);
  const v1 = parseCgroupLayout(HYBRID.replace(/^40.*\n/m, ""), () => "");
  expect(v1).toMatchObject({ mode: "v1", unified: undefined });
  expect(parseCgroupLayout("", () => "").v1.size).toBe(0);
});
