import type { Schemas } from "../../api/client";
import { durationInWords } from "../../ui/duration";
import { valueInWords } from "../../ui/values";

export type Rule = Schemas["AlertRule"];

/** A rule that is being written. */
export interface RuleDraft {
  name: string;
  by: "metric" | "silent" | "failed";
  metric: string;
  /** Empty: no such bound. */
  above: number | "";
  below: number | "";
  silentSeconds: number;
  forSeconds: number;
  groups: string[];
  severity: Schemas["AlertSeverity"];
}

/** Metrics that every device measures; it may have others of its own. */
export const commonMetrics = [
  "cpu.used_percent",
  "cpu.load_1m",
  "memory.available_bytes",
  "memory.swap_free_bytes",
  "disk.available_bytes",
  "network.received_bytes",
  "network.sent_bytes",
  "system.uptime_sec",
];

export const emptyRule: RuleDraft = {
  name: "",
  by: "metric",
  metric: "",
  above: "",
  below: "",
  silentSeconds: 3600,
  forSeconds: 0,
  groups: [],
  severity: "warning",
};

export function readRule(rule: Rule): RuleDraft {
  const { condition } = rule;
  const draft: RuleDraft = {
    ...emptyRule,
    name: rule.name,
    forSeconds: rule.for_seconds ?? 0,
    groups: rule.groups ?? [],
    severity: rule.severity ?? "warning",
  };
  if (condition === "failed") return { ...draft, by: "failed" };
  if ("silent" in condition) {
    return { ...draft, by: "silent", silentSeconds: condition.silent.seconds };
  }
  const { name, above, below } = condition.metric;
  return { ...draft, by: "metric", metric: name, above: above ?? "", below: below ?? "" };
}

export function writeRule(draft: RuleDraft): Rule {
  const { name, above, below, groups, severity } = draft;
  return {
    name,
    condition: conditionOf(draft, above, below),
    for_seconds: draft.by === "metric" ? draft.forSeconds : 0,
    groups,
    severity,
  };
}

function conditionOf(
  draft: RuleDraft,
  above: number | "",
  below: number | "",
): Schemas["AlertCondition"] {
  if (draft.by === "failed") return "failed";
  if (draft.by === "silent") return { silent: { seconds: draft.silentSeconds } };
  return {
    metric: {
      name: draft.metric.trim(),
      ...(above === "" ? {} : { above }),
      ...(below === "" ? {} : { below }),
    },
  };
}

/** What is missing before the server can be asked; nothing when nothing is. */
export function ruleLacks(draft: RuleDraft): string | null {
  if (draft.by === "silent" && draft.silentSeconds < 1)
    return "Say how long a silence is too long.";
  if (draft.by !== "metric") return null;
  if (!draft.metric.trim()) return "Name the metric.";
  if (draft.above === "" && draft.below === "") return "Say above or below which value.";
  // With both, a value beyond either is worth an alert; crossed bounds leave no value that is not.
  if (draft.above !== "" && draft.below !== "" && draft.above < draft.below) {
    return "Every value is above the one or below the other: there would always be an alert.";
  }
  return null;
}

/** When a rule's condition holds, as the end of “when a device …”. */
export function conditionInWords(condition: Schemas["AlertCondition"]): string {
  if (condition === "failed") return "failed its last update";
  if ("silent" in condition) {
    return `has asked for nothing for ${durationInWords(condition.silent.seconds)}`;
  }
  const { name, above, below } = condition.metric;
  const bounds = [
    typeof above === "number" && `above ${valueInWords(name, above)}`,
    typeof below === "number" && `below ${valueInWords(name, below)}`,
  ].filter(Boolean);
  return `has ${name} ${bounds.join(" or ")}`;
}

/** A whole rule as a sentence. */
export function ruleInWords(rule: Rule): string {
  const { condition, for_seconds = 0, groups = [], severity } = rule;
  const whose =
    groups.length === 0
      ? "a device"
      : `a device of ${groups.length === 1 ? "the group" : "the groups"} ${groups.join(", ")}`;
  const lasting = for_seconds > 0 ? ` for ${durationInWords(for_seconds)}` : "";
  const what = severity === "critical" ? "A critical alert" : "A warning";
  return `${what} when ${whose} ${conditionInWords(condition)}${lasting}.`;
}
