import { readDuration, writeDuration } from "../../ui/duration";
import {
  type Draft,
  initial,
  type PhaseDraft,
  percentPhase,
  type ThresholdDraft,
  type Weekday,
  type WindowDraft,
} from "./draft";

/*
 * A draft as it stands in the address. Most of it is written as the options of `updraft rollout create`
 * are: `phases=group:canary/soak=1d,100`, `failure=10:3`, `windows=sat+sun@02:00+2h`.
 */

export const weekdays: Weekday[] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

function number(text: string | null | undefined, otherwise: number): number {
  const value = text ? Number(text) : Number.NaN;
  return Number.isFinite(value) ? value : otherwise;
}

function oneOf<T extends string>(text: string | null, known: readonly T[], otherwise: T): T {
  return known.find((value) => value === text) ?? otherwise;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const list = (values: string[], separator = ",") => values.map(encodeURIComponent).join(separator);
const unlist = (text: string | null | undefined, separator = ",") =>
  (text ?? "")
    .split(separator)
    .filter((value) => value !== "")
    .map(decode);

const writeThreshold = ({ percent, minimum }: ThresholdDraft) =>
  minimum === 1 ? `${percent}` : `${percent}:${minimum}`;

function readThreshold(text: string | null | undefined, otherwise: ThresholdDraft): ThresholdDraft {
  const [percent, minimum] = (text ?? "").split(":");
  return {
    percent: number(percent, otherwise.percent),
    minimum: number(minimum, percent ? 1 : otherwise.minimum),
  };
}

function writePhase({ by, value, devices, success, failure, soakSeconds }: PhaseDraft): string {
  const what =
    by === "group" ? `group:${value}` : by === "devices" ? `device:${list(devices, "+")}` : value;
  const rules = [
    success && `success=${writeThreshold(success)}`,
    failure && `failure=${writeThreshold(failure)}`,
    soakSeconds !== undefined && `soak=${writeDuration(soakSeconds)}`,
  ];
  return list([what, ...rules.filter((rule): rule is string => !!rule)], "/");
}

function readPhase(text: string): PhaseDraft {
  const [what = "", ...rules] = unlist(text, "/");
  const rule = (name: string) =>
    rules.find((rule) => rule.startsWith(`${name}=`))?.slice(name.length + 1);
  const [success, failure, soak] = [rule("success"), rule("failure"), rule("soak")];
  const phase: PhaseDraft = what.startsWith("group:")
    ? { by: "group", value: what.slice("group:".length), devices: [] }
    : what.startsWith("device:")
      ? { by: "devices", value: "", devices: unlist(what.slice("device:".length), "+") }
      : percentPhase(what);
  return {
    ...phase,
    ...(success && { success: readThreshold(success, initial.success) }),
    ...(failure && { failure: readThreshold(failure, initial.failure) }),
    ...(soak && { soakSeconds: readDuration(soak) ?? 0 }),
  };
}

const writeWindow = ({ days, start, seconds }: WindowDraft) =>
  `${days.length > 0 ? `${days.join("+")}@` : ""}${start}+${writeDuration(seconds)}`;

function readWindow(text: string): WindowDraft[] {
  const [, days = "", start = "", length = ""] =
    /^(?:([a-z+]*)@)?(\d\d:\d\d)\+(\w+)$/.exec(text) ?? [];
  const seconds = readDuration(length);
  if (!start || seconds === undefined) return [];
  return [{ days: weekdays.filter((day) => days.split("+").includes(day)), start, seconds }];
}

export function readDraft(search: URLSearchParams): Draft {
  const get = (key: string) => search.get(key);
  const duration = (key: string) => readDuration(get(key) ?? "");
  const groups = unlist(get("groups"));
  const devices = unlist(get("devices"));
  const phases = unlist(get("phases")).map(readPhase);
  const [growingStart, growingPercent, growingTime] = (get("growing") ?? "").split("x");
  const startsAt = get("starts_at") ?? "";
  return {
    name: get("name") ?? initial.name,
    release: get("release") ?? initial.release,
    scope:
      devices.length > 0 || get("scope") === "devices"
        ? "devices"
        : groups.length > 0 || get("scope") === "groups"
          ? "groups"
          : "all",
    groups,
    devices,
    takesOver: get("take_over") === "yes",
    phases: phases.length > 0 ? phases : initial.phases,
    success: readThreshold(get("success"), initial.success),
    failure: readThreshold(get("failure"), initial.failure),
    soakSeconds: duration("soak") ?? initial.soakSeconds,
    onFailure: oneOf(get("on_failure"), ["stop", "pause", "rollback"], initial.onFailure),
    rollbackRelease: get("rollback_release") ?? "",
    start: startsAt ? "at" : oneOf(get("start"), ["now", "at", "manual"], initial.start),
    startsAt: Number.isNaN(Date.parse(startsAt)) ? "" : startsAt,
    needsApproval: get("approval") === "yes",
    rate: get("growing") ? "growing" : get("rate") ? "steady" : "none",
    perMinute: number(get("rate"), initial.perMinute),
    growing: {
      start: number(growingStart, initial.growing.start),
      percent: number(growingPercent, initial.growing.percent),
      seconds: readDuration(growingTime ?? "") ?? initial.growing.seconds,
    },
    maxActive: number(get("max_active"), initial.maxActive),
    maxKilobytes: number(get("max_kb"), initial.maxKilobytes),
    windows: unlist(get("windows")).flatMap(readWindow),
    timeZone: get("time_zone") ?? "",
    action: oneOf(get("action"), ["forced", "soft", "download_only", "consent"], initial.action),
    attempts: number(get("attempts"), initial.attempts),
    timeoutSeconds: duration("timeout") ?? initial.timeoutSeconds,
  };
}

export function writeDraft(draft: Draft): URLSearchParams {
  const search = new URLSearchParams();
  const note = (key: string, value: string | number, otherwise: string | number = "") => {
    if (value !== otherwise) search.set(key, String(value));
  };
  const phases = (some: PhaseDraft[]) => list(some.map(writePhase));
  const { growing } = draft;
  note("name", draft.name);
  note("release", draft.release);
  note("scope", draft.scope, "all");
  if (draft.scope === "groups") note("groups", list(draft.groups));
  if (draft.scope === "devices") note("devices", list(draft.devices));
  note("take_over", draft.takesOver ? "yes" : "");
  note("phases", phases(draft.phases), phases(initial.phases));
  note("success", writeThreshold(draft.success), writeThreshold(initial.success));
  note("failure", writeThreshold(draft.failure), writeThreshold(initial.failure));
  note("soak", draft.soakSeconds > 0 ? writeDuration(draft.soakSeconds) : "");
  note("on_failure", draft.onFailure, initial.onFailure);
  note("rollback_release", draft.rollbackRelease);
  note("start", draft.start, initial.start);
  if (draft.start === "at") note("starts_at", draft.startsAt);
  note("approval", draft.needsApproval ? "yes" : "");
  if (draft.rate === "steady") note("rate", draft.perMinute);
  if (draft.rate === "growing") {
    note("growing", `${growing.start}x${growing.percent}x${writeDuration(growing.seconds)}`);
  }
  note("max_active", draft.maxActive, initial.maxActive);
  note("max_kb", draft.maxKilobytes, initial.maxKilobytes);
  note("windows", list(draft.windows.map(writeWindow)));
  note("time_zone", draft.timeZone);
  note("action", draft.action, initial.action);
  note("attempts", draft.attempts, initial.attempts);
  note("timeout", draft.timeoutSeconds > 0 ? writeDuration(draft.timeoutSeconds) : "");
  return search;
}
