import { describe, expect, it } from "vitest";
import { readDraft, writeDraft } from "../src/pages/new-rollout/address";
import { initial, missing, percentPhase, request } from "../src/pages/new-rollout/draft";
import { reasonsOf } from "../src/pages/new-rollout/reasons";
import { isOwn, verbsFor } from "../src/pages/rollout/verbs";
import {
  rateInWords,
  scopeInWords,
  selectorInWords,
  thresholdInWords,
  windowInWords,
} from "../src/pages/rollout/words";
import type { Session } from "../src/session/login";
import { fromLocalInput, toLocalInput } from "../src/ui/time";

describe("the draft of a rollout", () => {
  it("comes back from its address", () => {
    const draft = readDraft(
      new URLSearchParams(
        "name=r1&release=v2&scope=groups&groups=lab,a%252Cb&phases=group%3Acanary,100&failure=5&timeout=90m",
      ),
    );
    expect(draft.groups).toEqual(["lab", "a,b"]);
    expect(readDraft(writeDraft(draft))).toEqual(draft);
    expect(missing(draft)).toBeNull();
    expect(request(draft)).toEqual({
      name: "r1",
      release: "v2",
      scope: { groups: ["lab", "a,b"] },
      phases: [{ group: "canary" }, { percent: 100 }],
      success_threshold: { percent: 90, minimum: 1 },
      failure_threshold: { percent: 5, minimum: 1 },
      device_timeout_seconds: 5400,
    });
  });
  it("has every rule that the server knows", () => {
    const draft: typeof initial = {
      ...initial,
      name: "r2",
      release: "v3",
      scope: "devices",
      devices: ["a+b", "c/d"],
      takesOver: true,
      phases: [
        {
          by: "devices",
          value: "",
          devices: ["a+b"],
          success: { percent: 100, minimum: 1 },
          failure: { percent: 1, minimum: 2 },
          soakSeconds: 86_400,
        },
        { by: "group", value: "lab", devices: [], soakSeconds: 0 },
        percentPhase("100"),
      ],
      success: { percent: 95, minimum: 3 },
      soakSeconds: 3600,
      onFailure: "rollback",
      rollbackRelease: "v1",
      start: "at",
      startsAt: "2026-12-01T08:00:00.000Z",
      needsApproval: true,
      rate: "growing",
      growing: { start: 5, percent: 150, seconds: 1800 },
      maxActive: 50,
      maxKilobytes: 750,
      windows: [
        { days: ["sat", "sun"], start: "02:00", seconds: 7200 },
        { days: [], start: "23:30", seconds: 90 },
      ],
      timeZone: "Europe/Berlin",
      action: "download_only",
      attempts: 3,
      timeoutSeconds: 172_800,
    };
    expect(missing(draft)).toBeNull();
    expect(readDraft(new URLSearchParams(writeDraft(draft).toString()))).toEqual(draft);
    expect(request(draft)).toEqual({
      name: "r2",
      release: "v3",
      scope: { devices: ["a+b", "c/d"] },
      phases: [
        {
          devices: ["a+b"],
          success_threshold: { percent: 100, minimum: 1 },
          failure_threshold: { percent: 1, minimum: 2 },
          soak_seconds: 86_400,
        },
        { group: "lab", soak_seconds: 0 },
        { percent: 100 },
      ],
      success_threshold: { percent: 95, minimum: 3 },
      failure_threshold: { percent: 10, minimum: 1 },
      soak_seconds: 3600,
      on_failure: "rollback",
      rollback_release: "v1",
      starts_at: "2026-12-01T08:00:00.000Z",
      needs_approval: true,
      rate: { exponential: { start: 5, factor_percent: 150, interval_seconds: 1800 } },
      max_active: 50,
      max_bytes_per_second: 750_000,
      windows: [
        { days: ["sat", "sun"], start: "02:00", duration_seconds: 7200 },
        { days: [], start: "23:30", duration_seconds: 90 },
      ],
      time_zone: "Europe/Berlin",
      action: "download_only",
      max_attempts: 3,
      device_timeout_seconds: 172_800,
      takes_over: true,
    });
  });
  it("keeps what is as usual out of its address", () => {
    expect(writeDraft(initial).toString()).toBe("");
    expect(readDraft(new URLSearchParams())).toEqual(initial);
    const nonsense = "windows=x,25&growing=x&starts_at=soon&action=never&attempts=many&soak=long";
    const read = readDraft(new URLSearchParams(nonsense));
    expect(read).toEqual({ ...initial, rate: "growing", start: "at" });
    // A time that is none begins nothing.
    expect(missing({ ...read, release: "v1" })).toMatch(/when/);
  });
  it("says what it lacks", () => {
    const draft = { ...initial, release: "v1" };
    const phases = (...shares: string[]) => ({ ...draft, phases: shares.map(percentPhase) });
    expect(missing(initial)).toMatch(/release/);
    expect(missing({ ...draft, scope: "devices" })).toMatch(/device/);
    expect(missing(phases("101"))).toMatch(/100 per cent/);
    expect(missing(phases("50", "50"))).toMatch(/rise/);
    expect(missing({ ...draft, start: "at" })).toMatch(/when/);
    expect(missing({ ...draft, rate: "steady", perMinute: 0 })).toMatch(/one device/);
    const window = { days: [], start: "24:00", seconds: 60 };
    expect(missing({ ...draft, windows: [window] })).toMatch(/opens/);
    expect(missing({ ...draft, windows: [{ ...window, start: "02:00", seconds: 59 }] })).toMatch(
      /minute/,
    );
  });
});

describe("a rollout in words", () => {
  it("names who is in it", () => {
    expect(scopeInWords({ devices: ["a", "b", "c", "d", "e", "f"] })).toBe(
      "the devices a, b, c, d and 2 more",
    );
    expect(selectorInWords({ percent: 20 })).toBe("up to 20 %");
  });
  it("names its rules", () => {
    expect(thresholdInWords({ percent: 5, minimum: 3 })).toBe("5 %, at least 3");
    expect(rateInWords({ per_minute: 100 })).toBe("100 devices a minute");
    const exponential = { start: 5, factor_percent: 200, interval_seconds: 3600 };
    expect(rateInWords({ exponential })).toBe(
      "5 devices at first, then 200 % of the number before every 1 hour",
    );
    expect(windowInWords({ days: ["sat"], start: "02:00", duration_seconds: 5400 })).toBe(
      "Saturday at 02:00 for 1 hour 30 minutes",
    );
  });
  it("puts reasons together", () => {
    const member = (device: string, reason?: string) => ({
      device,
      reason,
      phase: 0,
      state: "skipped" as const,
    });
    const reasons = reasonsOf([member("a", "pinned"), member("b", "gone"), member("c", "gone")]);
    expect(reasons.map(({ reason, devices }) => [reason, devices.length])).toEqual([
      ["gone", 2],
      ["pinned", 1],
    ]);
    expect(reasonsOf([member("a")])).toEqual([]);
  });
});

describe("what may be done with a rollout", () => {
  const who = (name: string, ...scopes: Session["scopes"]): Session => ({
    name,
    kind: "user",
    scopes,
  });
  const none = {
    total: 0,
    waiting: 0,
    assigned: 0,
    started: 0,
    succeeded: 0,
    failed: 0,
    cancelled: 0,
    skipped: 0,
  };
  const operator = who("otto", "read", "operate", "approve");
  const last = { current_phase: 1, phases: [1, 2] };
  it("goes on to a phase that there is", () => {
    const rollout = { state: "running" as const, counts: none, current_phase: 0, phases: [1, 2] };
    expect(verbsFor(rollout, operator)).toEqual(["pause", "advance", "stop"]);
    expect(verbsFor({ ...rollout, state: "paused" }, operator)).toEqual(["resume", "stop"]);
  });
  it.each([
    ["ready", {}, "start stop"],
    ["scheduled", {}, "start stop"],
    ["running", {}, "pause stop"],
    ["running", { succeeded: 1, failed: 1 }, "pause retry rollback stop"],
    ["paused", { started: 1 }, "resume rollback stop"],
    ["finished", { succeeded: 1 }, "rollback"],
    ["stopped", { cancelled: 1 }, "retry"],
    ["finished", { cancelled: 1 }, ""],
    ["denied", {}, ""],
    ["rolling_back", { succeeded: 1 }, "stop"],
    ["rolled_back", { rolled_back: 1, failed: 1 }, ""],
  ] as const)("when it is %s with %o: %s", (state, some, verbs) => {
    const counts = { ...none, ...some };
    expect(verbsFor({ state, counts, ...last }, operator).join(" ")).toBe(verbs);
    expect(verbsFor({ state, counts, ...last }, who("vera", "read"))).toEqual([]);
  });
  it("takes two for an approval", () => {
    const rollout = {
      state: "waiting_for_approval" as const,
      counts: none,
      created_by: "user:otto",
      ...last,
    };
    expect(verbsFor(rollout, operator)).toEqual(["stop"]);
    expect(isOwn(rollout, operator)).toBe(true);
    expect(verbsFor(rollout, { ...operator, kind: "token" })).toEqual(["approve", "deny", "stop"]);
    expect(verbsFor(rollout, who("anna", "read", "approve"))).toEqual(["approve", "deny"]);
  });
});

it("keeps times of fields in this place", () => {
  expect(fromLocalInput(toLocalInput("2026-12-01T08:30:00.000Z"))).toBe("2026-12-01T08:30:00.000Z");
  expect([toLocalInput(""), fromLocalInput("soon")]).toEqual(["", ""]);
});
