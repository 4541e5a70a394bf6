import type { AuditFilter } from "./reading";

/** What of the log is shown, as it stands in the address. */
export interface AuditSearch {
  actor: string;
  action: string;
  object: string;
  /** `1d`, `7d`, `30d`, or nothing for all. */
  period: string;
}

export const periods = [
  { value: "1d", label: "The last day", days: 1 },
  { value: "7d", label: "The last 7 days", days: 7 },
  { value: "30d", label: "The last 30 days", days: 30 },
  { value: "", label: "All of it", days: 0 },
];

export function readSearch(search: URLSearchParams): AuditSearch {
  const period = search.get("period") ?? "";
  return {
    actor: search.get("actor") ?? "",
    action: search.get("action") ?? "",
    object: search.get("object") ?? "",
    period: periods.some(({ value }) => value === period) ? period : "",
  };
}

export function writeSearch(search: AuditSearch): [string, string][] {
  return Object.entries(search).filter(([, value]) => value !== "");
}

export function filterOf({ actor, action, object, period }: AuditSearch, now: number): AuditFilter {
  const days = periods.find(({ value }) => value === period)?.days ?? 0;
  return {
    actor: actor || undefined,
    action: action || undefined,
    object: object || undefined,
    since: days > 0 ? new Date(now - days * 86_400_000).toISOString() : undefined,
  };
}
