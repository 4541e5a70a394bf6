import type { Schemas } from "../../api/client";
import { durationInWords } from "../../ui/duration";

const few = 4;

function list(names: string[]): string {
  const named = names.slice(0, few).join(", ");
  return names.length > few ? `${named} and ${names.length - few} more` : named;
}

export function scopeInWords(scope: Schemas["RolloutScope"]): string {
  if (scope === "all") return "every device";
  if ("groups" in scope) return `the groups ${list(scope.groups)}`;
  return `the devices ${list(scope.devices)}`;
}

export function selectorInWords(selector: Schemas["PhaseSelector"]): string {
  if ("percent" in selector)
    return selector.percent === 100 ? "all" : `up to ${selector.percent} %`;
  if ("group" in selector) return `the group ${selector.group}`;
  return `the devices ${list(selector.devices)}`;
}

export function thresholdInWords({ percent, minimum = 1 }: Schemas["Threshold"]): string {
  return minimum === 1 ? `${percent} %` : `${percent} %, at least ${minimum}`;
}

export function rateInWords(rate: Schemas["Rate"]): string {
  if ("per_minute" in rate) return `${rate.per_minute} devices a minute`;
  const { start, factor_percent, interval_seconds } = rate.exponential;
  const time = durationInWords(interval_seconds);
  return `${start} devices at first, then ${factor_percent} % of the number before every ${time}`;
}

const dayNames: Record<Schemas["Weekday"], string> = {
  mon: "Monday",
  tue: "Tuesday",
  wed: "Wednesday",
  thu: "Thursday",
  fri: "Friday",
  sat: "Saturday",
  sun: "Sunday",
};

export const dayInWords = (day: Schemas["Weekday"]) => dayNames[day];

export function windowInWords({
  days = [],
  start,
  duration_seconds,
}: Schemas["MaintenanceWindow"]): string {
  const when = days.length === 0 ? "every day" : days.map(dayInWords).join(", ");
  return `${when} at ${start} for ${durationInWords(duration_seconds)}`;
}

export const actions: Record<Schemas["RolloutAction"], { label: string; about: string }> = {
  forced: { label: "Forced", about: "devices install it as soon as they can" },
  soft: { label: "Soft", about: "a device may postpone it" },
  download_only: { label: "Download only", about: "they fetch it and install it later" },
  consent: { label: "With consent", about: "somebody at the device says yes first" },
};

export const onFailure: Record<Schemas["OnFailure"], { label: string; about: string }> = {
  stop: { label: "Stop", about: "it ends; what no device has fetched is taken back" },
  pause: { label: "Pause", about: "it waits until somebody resumes or stops it" },
  rollback: { label: "Roll back", about: "devices that have it get back what they ran before" },
};
