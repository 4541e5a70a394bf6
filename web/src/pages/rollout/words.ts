import type { Schemas } from "../../api/client";

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
