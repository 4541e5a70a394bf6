import type { Schemas } from "../../api/client";

type Member = Schemas["RolloutDevice"];

/** Devices with a reason, alike ones together, the most frequent first. */
export function reasonsOf(items: Member[]): { reason: string; devices: Member[] }[] {
  const by = new Map<string, Member[]>();
  for (const item of items) {
    if (!item.reason) continue;
    const alike = by.get(item.reason);
    if (alike) alike.push(item);
    else by.set(item.reason, [item]);
  }
  return [...by]
    .map(([reason, devices]) => ({ reason, devices }))
    .sort((a, b) => b.devices.length - a.devices.length);
}
