import type { AuditFilter } from "./reading";

/** What of the log is shown, as it stands in the address. */
export interface AuditSearch {
  actor: string;
  action: string;
  object: string;
  /** `1d`, `7d`, `30d`, `range` for the times below, or nothing for all. */
  period: string;
  /** Times, as the interface takes them; empty: no such bound. */
  from: string;
  to: string;
}

export const periods = [
  { value: "1d", label: "The last day", days: 1 },
  { value: "7d", label: "The last 7 days", days: 7 },
  { value: "30d", label: "The last 30 days", days: 30 },
  { value: "range", label: "Between two times", days: 0 },
  { value: "", label: "All of it", days: 0 },
];

export const everything: AuditSearch = {
  actor: "",
  action: "",
  object: "",
  period: "",
  from: "",
  to: "",
};

export function readSearch(search: URLSearchParams): AuditSearch {
  const period = search.get("period") ?? "";
  return {
    actor: search.get("actor") ?? "",
    action: search.get("action") ?? "",
    object: search.get("object") ?? "",
    period: periods.some(({ value }) => value === period) ? period : "",
    from: time(search.get("from")),
    to: time(search.get("to")),
  };
}

function time(text: string | null): string {
  return text && !Number.isNaN(Date.parse(text)) ? text : "";
}

export function writeSearch(search: AuditSearch): [string, string][] {
  const isRange = search.period === "range";
  return Object.entries(search).filter(
    ([key, value]) => value !== "" && (isRange || (key !== "from" && key !== "to")),
  );
}

export function filterOf(search: AuditSearch, now: number): AuditFilter {
  const { actor, action, object, period, from, to } = search;
  const days = periods.find(({ value }) => value === period)?.days ?? 0;
  return {
    actor: actor || undefined,
    action: action || undefined,
    object: object || undefined,
    ...(days > 0 && { since: new Date(now - days * 86_400_000).toISOString() }),
    ...(period === "range" && { since: from || undefined, until: to || undefined }),
  };
}
