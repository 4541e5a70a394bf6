import { stored } from "../../app/stored";

/** A filter with a name. */
export interface View {
  name: string;
  filter: string;
}

/** What everybody starts with. */
export const commonViews: View[] = [
  { name: "Failed", filter: "state==failed" },
  { name: "Updating now", filter: "state=in=(assigned,updating)" },
  { name: "Silent for a day", filter: "state!=revoked;last_seen=lt=-1d" },
  { name: "Running no release", filter: "state!=revoked;release=is=null" },
];

/** What this browser's people have saved. */
export const savedViews = stored<View[]>("updraft.views", []);

const comparison = /[=<>!]/;

/** What somebody typed, as a filter: words without a comparison are part of an id. */
export function asFilter(text: string): string {
  const typed = text.trim();
  if (typed === "" || comparison.test(typed)) return typed;
  return `id=="*${typed.replace(/["\\*]/g, "\\$&")}*"`;
}

export type Column = "id" | "state" | "release" | "hardware_id" | "last_seen";

export interface Order {
  column: Column;
  descending: boolean;
}

/** An order as it stands in the address and in requests: `last_seen:DESC`. */
export function readOrder(text: string | null): Order {
  const [column, direction] = (text ?? "").split(":");
  const known: Column[] = ["id", "state", "release", "hardware_id", "last_seen"];
  const found = known.find((name) => name === column);
  return { column: found ?? "id", descending: found !== undefined && direction === "DESC" };
}

export function writeOrder({ column, descending }: Order): string | undefined {
  if (column === "id" && !descending) return undefined;
  return `${column}:${descending ? "DESC" : "ASC"}`;
}
