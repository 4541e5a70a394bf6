import type { Schemas } from "../../api/client";

export type Weekday = Schemas["Weekday"];

export interface ThresholdDraft {
  percent: number;
  minimum: number;
}

export interface PhaseDraft {
  by: "percent" | "group" | "devices";
  /** The share or the group. */
  value: string;
  devices: string[];
  /** Its own rules; absent: those of the rollout. */
  success?: ThresholdDraft;
  failure?: ThresholdDraft;
  soakSeconds?: number;
}

export interface WindowDraft {
  /** None stands for every day. */
  days: Weekday[];
  /** `HH:MM`. */
  start: string;
  seconds: number;
}

/** A rollout that is being written; it is in the address, so that it can be passed on. */
export interface Draft {
  name: string;
  release: string;
  scope: "all" | "groups" | "devices";
  groups: string[];
  devices: string[];
  takesOver: boolean;
  phases: PhaseDraft[];
  success: ThresholdDraft;
  failure: ThresholdDraft;
  soakSeconds: number;
  onFailure: Schemas["OnFailure"];
  /** For devices whose release before is not known; empty: none. */
  rollbackRelease: string;
  start: "now" | "at" | "manual";
  /** A time, as the interface takes it; empty until somebody chooses. */
  startsAt: string;
  needsApproval: boolean;
  rate: "none" | "steady" | "growing";
  perMinute: number;
  growing: { start: number; percent: number; seconds: number };
  /** 0: as many as there are. */
  maxActive: number;
  /** Of downloads, a second; 0: as fast as it goes. */
  maxKilobytes: number;
  windows: WindowDraft[];
  timeZone: string;
  action: Schemas["RolloutAction"];
  attempts: number;
  /** 0: devices have for ever. */
  timeoutSeconds: number;
}

export const percentPhase = (value: string): PhaseDraft => ({ by: "percent", value, devices: [] });

/** What somebody begins with who has no wishes: a tenth first, and a stop when that is not well. */
export const initial: Draft = {
  name: "",
  release: "",
  scope: "all",
  groups: [],
  devices: [],
  takesOver: false,
  phases: [percentPhase("10"), percentPhase("100")],
  success: { percent: 90, minimum: 1 },
  failure: { percent: 10, minimum: 1 },
  soakSeconds: 0,
  onFailure: "stop",
  rollbackRelease: "",
  start: "now",
  startsAt: "",
  needsApproval: false,
  rate: "none",
  perMinute: 100,
  growing: { start: 5, percent: 200, seconds: 3600 },
  maxActive: 0,
  maxKilobytes: 0,
  windows: [],
  timeZone: "",
  action: "forced",
  attempts: 1,
  timeoutSeconds: 0,
};

/** What is missing before the server can be asked; nothing when nothing is. */
export function missing(draft: Draft): string | null {
  if (!draft.release) return "Choose a release.";
  if (draft.scope === "groups" && draft.groups.length === 0) return "Choose a group.";
  if (draft.scope === "devices" && draft.devices.length === 0) return "Name a device.";
  if (draft.phases.length === 0) return "A rollout needs a phase.";
  return phasesLack(draft.phases) ?? rulesLack(draft);
}

function phasesLack(phases: PhaseDraft[]): string | null {
  let reached = 0;
  for (const { by, value, devices } of phases) {
    if (by === "group" && !value) return "Choose the group of each phase.";
    if (by === "devices" && devices.length === 0) return "Name the devices of each phase.";
    if (by !== "percent") continue;
    const percent = Number(value);
    if (!(Number.isInteger(percent) && percent >= 1 && percent <= 100)) {
      return "A phase reaches 1 to 100 per cent.";
    }
    if (percent <= reached) return "Shares are of all devices, earlier phases included: they rise.";
    reached = percent;
  }
  return null;
}

function rulesLack(draft: Draft): string | null {
  if (draft.start === "at" && !draft.startsAt) return "Say when it begins.";
  if (draft.rate === "steady" && draft.perMinute < 1) return "Let at least one device a minute.";
  const { start, percent, seconds } = draft.growing;
  if (draft.rate === "growing" && (start < 1 || percent < 1 || seconds < 1)) {
    return "A growing rate begins with at least one device, and has an interval.";
  }
  for (const window of draft.windows) {
    if (!/^([01][0-9]|2[0-3]):[0-5][0-9]$/.test(window.start)) return "A window opens at a time.";
    if (window.seconds < 60 || window.seconds > 7 * 86_400) {
      return "A window is open for a minute to a week.";
    }
  }
  return null;
}

/** The draft as the server takes it; what is as usual is left to the server. */
export function request(draft: Draft): Schemas["NewRollout"] {
  const { growing } = draft;
  return {
    // A preview needs a name that is one; which, makes no difference to it.
    name: draft.name || "draft",
    release: draft.release,
    scope:
      draft.scope === "all"
        ? "all"
        : draft.scope === "groups"
          ? { groups: draft.groups }
          : { devices: draft.devices },
    phases: draft.phases.map(phaseRequest),
    success_threshold: draft.success,
    failure_threshold: draft.failure,
    ...(draft.soakSeconds > 0 && { soak_seconds: draft.soakSeconds }),
    ...(draft.onFailure !== "stop" && { on_failure: draft.onFailure }),
    ...(draft.rollbackRelease && { rollback_release: draft.rollbackRelease }),
    ...(draft.start === "at" && { starts_at: draft.startsAt }),
    ...(draft.start === "manual" && { manual_start: true }),
    ...(draft.needsApproval && { needs_approval: true }),
    ...(draft.rate === "steady" && { rate: { per_minute: draft.perMinute } }),
    ...(draft.rate === "growing" && {
      rate: {
        exponential: {
          start: growing.start,
          factor_percent: growing.percent,
          interval_seconds: growing.seconds,
        },
      },
    }),
    ...(draft.maxActive > 0 && { max_active: draft.maxActive }),
    ...(draft.maxKilobytes > 0 && { max_bytes_per_second: draft.maxKilobytes * 1000 }),
    ...(draft.windows.length > 0 && {
      windows: draft.windows.map(({ days, start, seconds }) => ({
        days,
        start,
        duration_seconds: seconds,
      })),
    }),
    ...(draft.timeZone && { time_zone: draft.timeZone }),
    ...(draft.action !== "forced" && { action: draft.action }),
    ...(draft.attempts > 1 && { max_attempts: draft.attempts }),
    ...(draft.timeoutSeconds > 0 && { device_timeout_seconds: draft.timeoutSeconds }),
    ...(draft.takesOver && { takes_over: true }),
  };
}

function phaseRequest(phase: PhaseDraft): Schemas["NewPhase"] {
  const { by, value, devices, success, failure, soakSeconds } = phase;
  return {
    ...(by === "group"
      ? { group: value }
      : by === "devices"
        ? { devices }
        : { percent: Number(value) }),
    ...(success && { success_threshold: success }),
    ...(failure && { failure_threshold: failure }),
    ...(soakSeconds !== undefined && { soak_seconds: soakSeconds }),
  };
}
