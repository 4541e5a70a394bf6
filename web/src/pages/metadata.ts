/** A role of a root: whose signatures count, and how many are needed. */
export interface Role {
  name: string;
  threshold: number;
  keys: { id: string; type: string }[];
}

const order = ["root", "targets", "snapshot", "timestamp"];

function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** The roles of signed root metadata; what is not there reads as nothing. */
export function readRoot(file: unknown): Role[] {
  const signed = record(record(file).signed);
  const keys = record(signed.keys);
  return Object.entries(record(signed.roles))
    .map(([name, role]) => {
      const { keyids, threshold } = record(role);
      const ids = Array.isArray(keyids) ? keyids.filter((id) => typeof id === "string") : [];
      return {
        name,
        threshold: typeof threshold === "number" ? threshold : 0,
        keys: ids.map((id) => {
          const type = record(keys[id]).keytype;
          return { id, type: typeof type === "string" ? type : "" };
        }),
      };
    })
    .sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
}
