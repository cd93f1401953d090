import { describe, expect, test } from "vitest";

import { mountFrom, parseMount } from "./mount.ts";

function mount(text: string, values: Record<string, string> = {}): object {
  return parseMount({ text, from: mountFrom(text) }, (word) => word.replace(/\$(\w+)/g, (_, name: string) => values[name] ?? ""));
}

describe("mounts", () => {
  test.each<[string, object]>([
    ["target=/x", { type: "bind", target: "/x", readOnly: true }],
    ["type=bind,from=build,source=/a,dst=/b,rw", { type: "bind", from: "build", source: "/a", target: "/b", readOnly: false }],
    ["type=bind,src=a,destination=/b,readwrite=false", { source: "a", target: "/b", readOnly: true }],
    ["type=bind,target=/b,ro=false", { readOnly: false }],
    ["type=cache,target=/c", { type: "cache", target: "/c", readOnly: false, id: undefined, sharing: undefined }],
    ["type=cache,target=/c,id=x,sharing=locked,mode=0755,uid=1,gid=2", { id: "x", sharing: "locked", mode: 0o755, uid: 1, gid: 2 }],
    ["type=cache,target=/c,readonly", { readOnly: true }],
    ["type=tmpfs,target=/t,size=10m", { type: "tmpfs", readOnly: false, sizeBytes: 10 * 1024 * 1024 }],
    ["type=secret,id=s", { type: "secret", id: "s", required: false, readOnly: true }],
    ["type=secret,id=s,required", { required: true }],
    ["type=secret,id=s,required=false,target=/s,mode=0400", { required: false, target: "/s", mode: 0o400 }],
    ["type=secret,id=s,env=TOKEN", { env: "TOKEN" }],
    ["type=secret,target=/s", { target: "/s" }],
    ["type=ssh", { type: "ssh", required: false }],
    ["type=ssh,id=x,required=true", { id: "x", required: true }],
    ["TYPE=Cache,Target=/c", { type: "cache", target: "/c" }],
    ['type=bind,"source=a,b",target=/x', { source: "a,b" }],
    ['type=bind,"source=a""b",target=/x', { source: 'a"b' }],
    ["type=$t,target=$d/x,id=$i", { type: "cache", target: "/d/x", id: "i1" }],
    ["type=bind,target=a=b", { target: "a=b" }],
  ])("%s", (text, expected) => {
    expect(mount(text, { t: "cache", d: "/d", i: "i1" })).toMatchObject(expected);
  });

  test.each([
    ["type=foo,target=/x", 'unsupported mount type "foo"'],
    ["type=cahce,target=/x", 'unsupported mount type "cahce" (did you mean cache?)'],
    ["type=bind,targt=/x", "unexpected key 'targt' in 'targt=/x' (did you mean target?)"],
    ["type=bind,/x", "invalid field '/x' must be a key=value pair"],
    ["type=bind,target=/x,ro=maybe", "invalid value for ro: maybe"],
    ["type=bind,target=/x,rw=maybe", "invalid value for rw: maybe"],
    ["type=cache,target=/x,sharing=all", 'unsupported sharing value "all"'],
    ["type=bind,target=/x,sharing=shared", "invalid cache sharing set for bind mount"],
    ["type=bind,target=/x,required", "unexpected key 'required' for mount type 'bind'"],
    ["type=cache,target=/x,size=1m", "unexpected key 'size' for mount type 'cache'"],
    ["type=tmpfs,target=/x,size=much", "invalid value for size: much"],
    ["type=cache,target=/x,mode=9", "invalid value 9 for mode"],
    ["type=cache,target=/x,uid=root", "invalid value root for uid"],
    ["type=cache,target=/x,gid=4294967296", "invalid value 4294967296 for gid"],
    ["type=bind,target=/x,uid=1", 'uid not allowed for "bind" type mounts'],
    ["type=tmpfs,target=/x,mode=0700", 'mode not allowed for "tmpfs" type mounts'],
    ["type=secret", "invalid secret mount. one of source, target required"],
    ["type=secret,id=a,from=b", "secret mount should not have a from"],
    ["type=secret,id=a,sharing=locked", "secret mount should not define sharing"],
    ["type=secret,id=a,source=b", "both source and id can't be set"],
    ["type=bind,from=$x,target=/x", "'from' doesn't support variable expansion, define alias stage instead"],
    ['type=bind,"target=/x', "failed to parse csv mounts: "],
    ['type=bind,target="/x"', "failed to parse csv mounts: "],
  ])("%s is wrong", (text, message) => {
    expect(() => mount(text)).toThrow(message);
  });
});
