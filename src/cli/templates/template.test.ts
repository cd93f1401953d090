import { describe, expect, test } from "vitest";

import { compileTemplate } from "./template.ts";
import { structType } from "./go-structs.ts";
import { ANY } from "./go-values.ts";

/** What Go's text/template prints, as the stock client showed it for the same templates and values. */

const data = {
  Name: "/web",
  Count: 3,
  Big: 9007199254740993n,
  Ratio: 0.5,
  On: true,
  Nothing: null,
  Env: ["A=1", "B=2"],
  Labels: { b: "2", a: "1" },
  Ports: { "80/tcp": [{ HostIp: "::", HostPort: "8080" }], "81/tcp": null },
  Html: "<a&b>",
};

const run = (template: string): string => compileTemplate(template).execute({ type: ANY, value: data });

describe("a template over plain JSON", () => {
  test.each([
    ["{{.Name}} {{ .Count }}", "/web 3"],
    ["{{.Big}} {{json .Big}}", "9007199254740993 9007199254740993"],
    ["{{.Missing}} {{.Nothing}}", "<no value> <no value>"],
    ["{{.Env}} {{.Labels}} {{.On}} {{.Ratio}}", "[A=1 B=2] map[a:1 b:2] true 0.5"],
    ["{{json .Labels}} {{json .Html}} {{json .Env}} {{json .Nothing}}", '{"a":"1","b":"2"} "<a&b>" ["A=1","B=2"] null'],
    ["{{range .Env}}{{.}};{{end}}", "A=1;B=2;"],
    ["{{range $i, $e := .Env}}{{if $i}}, {{end}}{{$i}}:{{$e}}{{end}}", "0:A=1, 1:B=2"],
    ["{{range $k, $v := .Labels}}{{$k}}={{$v}} {{end}}", "a=1 b=2 "],
    ["{{range .Nothing}}x{{else}}none{{end}}", "none"],
    ['{{range .Env}}{{if eq . "B=2"}}{{break}}{{end}}{{.}}{{end}}', "A=1"],
    ['{{range .Env}}{{if eq . "A=1"}}{{continue}}{{end}}{{.}}{{end}}', "B=2"],
    ["{{with .Missing}}x{{else with .Name}}{{.}}{{end}}", "/web"],
    ["{{if and .On (gt 4 .Count | not)}}yes{{else if or .Missing .On}}else{{end}}", "else"],
    ['{{(index (index .Ports "80/tcp") 0).HostPort}}', "8080"],
    ['{{index .Labels "a"}}{{index .Labels "nope"}}|', "1<no value>|"],
    ["{{len .Env}} {{len .Name}} {{slice .Name 1 3}}", "2 4 we"],
    [
      '{{join (split "A B" " ") ","}} {{split "a-b" "-"}} {{upper .Name}} {{title "ab cd"}} {{pad "x" 1 2}}| {{truncate .Name 2}}',
      "A,B [a b] /WEB Ab Cd  x  | /w",
    ],
    ['{{printf "%q %v %5s|%-5s|%05d %x %t %T" .Name .Env "a" "b" 42 255 true .Name}}', '"/web" [A=1 B=2]     a|b    |00042 ff true string'],
    ['{{print 1 2 "a" "b" 3}} {{println .Count}}', "1 2ab3 3\n"],
    ['a {{- /* gone */ -}} b\n{{- " c"}}', "ab c"],
    ["{{$x := .Count}}{{$x = 4}}{{$x}} {{$.Name}}", "4 /web"],
    ["{{`raw {{x}}`}}{{'a'}} {{1_000}} {{0x10}} {{010}} {{-0.5e1}}", "raw {{x}}97 1000 16 8 -5"],
    ['{{.Name | printf "%s-%s" "x" | upper}}', "X-/WEB"],
    ['{{eq 1 2 1}} {{ne "a" "b"}} {{lt 1 2}} {{ge "b" "a"}} {{not .Nothing}}', "true true true true true"],
    ['{{html .Html}} {{urlquery "a b&c"}} {{js "it\'s"}}', "&lt;a&amp;b&gt; a+b%26c it\\'s"],
  ])("%s", (template, expected) => {
    expect(run(template)).toBe(expected);
  });

  test.each([
    ["{{", "template: :1: unclosed action"],
    ["{{.Name", "template: :1: unclosed action"],
    ["{{if .On}}x", "template: :1: unexpected EOF"],
    ["{{end}}", "template: :1: unexpected {{end}}"],
    ["{{nope .Name}}", 'template: :1: function "nope" not defined'],
    ["{{$x}}", 'template: :1: undefined variable "$x"'],
    ['{{"open}}', "template: :1: unterminated quoted string"],
    ["{{.Name.First}}", 'template: :1:7: executing "" at <.Name.First>: can\'t evaluate field First in type interface {}'],
    ["{{index .Env 9}}", 'template: :1:2: executing "" at <index .Env 9>: error calling index: index out of range: 9'],
    ["{{len 3}}", 'template: :1:2: executing "" at <len 3>: error calling len: len of type int'],
  ])("%s fails in Go's words", (template, message) => {
    expect(() => run(template)).toThrow(message);
  });
});

describe("a template over the engine's structs", () => {
  const container = { Id: "abc", Name: "/web", State: { Running: true, ExitCode: 0 }, Config: { Labels: null, Env: [] }, Mounts: [] };
  const inspect = (template: string): string => compileTemplate(template).execute({ type: structType("Container"), value: container });

  test.each([
    ["{{.ID}} {{.State.Running}} {{.State.Pid}} {{.State.StartedAt}}|", "abc true 0 |"],
    ["{{.Config.Labels}} {{json .Config.Labels}} {{json .Config.Env}} {{json .Mounts}}", "map[] null [] []"],
    ["{{.Config.Hostname}}|{{.HostConfig}}|{{with .Config.Healthcheck}}x{{end}}", "|<nil>|"],
    [
      "{{json .State}}",
      '{"Status":"","Running":true,"Paused":false,"Restarting":false,"OOMKilled":false,"Dead":false,"Pid":0,"ExitCode":0,"Error":"","StartedAt":"","FinishedAt":""}',
    ],
  ])("%s", (template, expected) => {
    expect(inspect(template)).toBe(expected);
  });

  test("a field that the struct does not have is an error", () => {
    expect(() => inspect("{{.State.Nope}}")).toThrow(/<\.State\.Nope>: can't evaluate field Nope in type \*\S*State/);
  });
});
