import { describe, expect, it } from "vitest";
import {
  emptyRule,
  type Rule,
  readRule,
  ruleInWords,
  ruleLacks,
  writeRule,
} from "../src/pages/alerts/rule";
import { coversRoles, roleNames } from "../src/session/roles";
import { durationInWords, readDuration, writeDuration } from "../src/ui/duration";
import { eventKinds, kindChoices } from "../src/ui/kinds";
import { valueInWords } from "../src/ui/values";

describe("rules of alerts", () => {
  const rules: Rule[] = [
    {
      name: "low-memory",
      condition: { metric: { name: "memory.available_bytes", below: 5e7 } },
      for_seconds: 600,
      groups: ["field"],
      severity: "warning",
    },
    {
      name: "silent",
      condition: { silent: { seconds: 5400 } },
      for_seconds: 0,
      groups: [],
      severity: "critical",
    },
    { name: "failed", condition: "failed", for_seconds: 0, groups: [], severity: "warning" },
  ];
  it.each(rules)("$name comes back from its form", (rule) => {
    expect(writeRule(readRule(rule))).toEqual(rule);
    expect(ruleLacks(readRule(rule))).toBeNull();
  });
  it("are told in words", () => {
    expect(rules.map(ruleInWords)).toEqual([
      "A warning when a device of the group field has memory.available_bytes below 47.7 MiB for 10 minutes.",
      "A critical alert when a device has asked for nothing for 1 hour 30 minutes.",
      "A warning when a device failed its last update.",
    ]);
  });
  it("say what they lack", () => {
    const draft = { ...emptyRule, metric: "cpu.used_percent" };
    expect(ruleLacks(emptyRule)).toMatch(/metric/);
    expect(ruleLacks(draft)).toMatch(/value/);
    expect(ruleLacks({ ...draft, above: 0 })).toBeNull();
    expect(ruleLacks({ ...draft, above: 10, below: 20 })).toMatch(/always/);
    expect(ruleLacks({ ...draft, by: "silent", silentSeconds: 0 })).toMatch(/silence/);
  });
  it("have values with units", () => {
    expect(valueInWords("disk.available_bytes", 2048)).toBe("2.0 KiB");
    expect(valueInWords("temperature.soc_celsius", 48.517)).toBe("48.52 °C");
    expect(valueInWords("system.uptime_sec", 90_000)).toBe("1 day 1 hour");
    expect(valueInWords("docker.alive", 1)).toBe("1");
  });
});

it("writes and reads lengths of time", () => {
  expect([90, 5400, 86_400, 0].map(writeDuration)).toEqual(["90s", "90m", "1d", "0d"]);
  expect([90, 5400, 86_400, 0].map((s) => readDuration(writeDuration(s)))).toEqual([
    90, 5400, 86_400, 0,
  ]);
  expect(["1.5h", "2 h", "-1m", "h", ""].map(readDuration)).toEqual([
    5400,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
  expect(durationInWords(0)).toBe("no time");
});

it("offers every kind of event once", () => {
  const offered = kindChoices.flatMap(({ items }) => items.map(({ value }) => value));
  expect(offered.toSorted()).toEqual(eventKinds.toSorted());
});

it("lets nobody manage whoever may do more", () => {
  const managed = (scopes: Parameters<typeof coversRoles>[0]) =>
    roleNames.filter((role) => coversRoles(scopes, [role]));
  expect(managed(["read", "users"])).toEqual(["viewer"]);
  expect(managed(["users", "operate", "approve"])).toEqual(["viewer", "operator"]);
  expect(managed(["admin"])).toEqual(roleNames);
  expect(coversRoles(["users", "audit"], ["auditor", "operator"])).toBe(false);
});
