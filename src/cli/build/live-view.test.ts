import { expect, test } from "vitest";

import type { BuildStep } from "../../api/build-request.ts";
import { openLiveView } from "./live-view.ts";

/** The lines on a screen after what was written, top first. */
function screenOf(written: readonly string[]): string[] {
  const lines: string[] = [];
  for (const text of written) {
    const [, up = "0", rest = text] = /^\x1b\[(\d+)A\r\x1b\[J([^]*)$/.exec(text) ?? [];
    lines.splice(lines.length - Number(up));
    lines.push(...rest.split("\n").slice(0, -1));
  }
  return lines;
}

const view = (rows = 24): ReturnType<typeof openLiveView> => openLiveView(() => ({ columns: 50, rows }), { colour: false, startedAtMs: 0 });
const step = (id: string, status: BuildStep["status"], more: Partial<BuildStep> = {}): BuildStep => ({
  id,
  name: `RUN ${id}`,
  status,
  ...more,
});

test("steps that run are drawn in place with their times, those that are done stay above", () => {
  const live = view();
  const written: string[] = [];
  live.step(step("base", "cached", { name: "FROM busybox" }), 0);
  live.step(step("a", "started", { stage: "one" }), 0);
  live.step(step("b", "started", { stage: "two" }), 500);
  written.push(live.draw(1000));
  expect(screenOf(written)).toEqual([
    "● FROM busybox                            cached",
    "⠋ [one] RUN a                               1.0s",
    "⠋ [two] RUN b                               0.5s",
    "building 1.0s, 1 done",
  ]);
  live.step(step("b", "done", { stage: "two", ms: 1500 }), 2000);
  written.push(live.draw(2000));
  expect(screenOf(written)).toEqual([
    "● FROM busybox                            cached",
    "✓ [two] RUN b                               1.5s",
    "⠋ [one] RUN a                               2.0s",
    "building 2.0s, 2 done",
  ]);
  live.step(step("a", "done", { stage: "one", ms: 2100 }), 2100);
  live.text("Successfully built 0123456789ab\nSuccessfully tagged x:1\n");
  written.push(live.end());
  expect(screenOf(written).slice(2)).toEqual([
    "✓ [one] RUN a                               2.1s",
    "Successfully built 0123456789ab",
    "Successfully tagged x:1",
  ]);
});

test("the last lines that a step wrote are shown while it runs, in one line each, and are gone when it is done", () => {
  const live = view();
  const written: string[] = [];
  live.step(step("a", "started"), 0);
  live.text("Step 2/2 : RUN a\n ---> Running in 0123456789ab\n");
  for (let at = 1; at <= 6; at += 1) live.text(`line ${at}\n`);
  live.text(`\x1b[91m${"long ".repeat(20)}\x1b[0m`);
  written.push(live.draw(0));
  expect(screenOf(written).slice(1, -1)).toEqual([
    "  │ line 4",
    "  │ line 5",
    "  │ line 6",
    "  │ long long long long long long long long long…",
  ]);
  live.step(step("a", "done"), 1000);
  written.push(live.end());
  expect(screenOf(written)).toEqual(["✓ RUN a                                     1.0s"]);
});

test("a step that failed leaves all that it wrote", () => {
  const live = view();
  live.step(step("a", "started"), 0);
  live.text("Step 2/2 : RUN a\n\n ---> Running in 0123456789ab\n1\n2\n3\n4\n5\n");
  const written = [live.draw(0)];
  live.step(step("a", "failed"), 300);
  written.push(live.end());
  expect(screenOf(written)).toEqual(["✗ RUN a                                     0.3s", "1", "2", "3", "4", "5"]);
});

test("no more is drawn than fits on the screen", () => {
  const live = view(6);
  for (let at = 0; at < 10; at += 1) live.step(step(String(at), "started"), 0);
  live.text("1\n2\n");
  expect(screenOf([live.draw(0)])).toHaveLength(4);
});

test("names longer than the screen is wide are cut", () => {
  const live = view();
  live.step(step("a", "done", { name: `RUN ${"x && \\\n  ".repeat(50)}`, ms: 12 }), 0);
  const [line = ""] = screenOf([live.end()]);
  expect(line).toMatch(/^✓ RUN x && \\ x && .*… +0\.0s$/);
  expect(line).toHaveLength(48);
});
