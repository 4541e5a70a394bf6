import { api, body, type Schemas } from "../../api/client";

export type Entry = Schemas["AuditEntry"];

/** Which entries are wanted; times as the interface takes them. */
export interface AuditFilter {
  actor?: string;
  action?: string;
  object?: string;
  since?: string;
  until?: string;
}

/** One request: entries after a number, oldest first. */
export type Read = (
  filter: AuditFilter,
  after: number,
  limit: number,
) => Promise<{ items: Entry[]; next?: string | null }>;

/** The most entries that the server gives at once. */
const PART = 1000;
/** So many are shown before somebody asks for more. */
const ENOUGH = 50;
/** After so many parts without enough of them, somebody may say whether to look further back. */
const MOST_PARTS = 10;
/** The end of a busy log is near, that of a silent one is found by looking back further and further. */
const LOOK_BACK_MS = 5 * 60_000;
const ALL_MS = 100 * 365 * 86_400_000;

export const readFromServer =
  (signal?: AbortSignal): Read =>
  (filter, after, limit) =>
    body(
      api.GET("/api/v1/audit", {
        params: { query: { ...filter, order: "oldest", after: String(after), limit } },
        signal,
      }),
    );

/** The number of the first entry since a time. */
async function numberSince(read: Read, since: string): Promise<number | undefined> {
  return (await read({ since }, 0, 1)).items[0]?.number;
}

/** The number of the last entry: numbers have no gaps, and the server lists the oldest first. */
export async function lastNumber(read: Read, now: number): Promise<number> {
  for (let back = LOOK_BACK_MS; ; back *= 8) {
    const since = new Date(now - Math.min(back, ALL_MS)).toISOString();
    let page = await read({ since }, 0, PART);
    while (page.next) page = await read({}, Number(page.next), PART);
    const last = page.items.at(-1);
    if (last) return last.number;
    if (back >= ALL_MS) return 0;
  }
}

export interface Part {
  /** The newest first. */
  items: Entry[];
  /** The number up to which to look next; absent when there is nothing before. */
  next?: number;
}

/** Entries up to a number, the newest first; without one, from the end on. */
export async function entriesUpTo(
  read: Read,
  filter: AuditFilter,
  upTo: number | undefined,
  now: number,
): Promise<Part> {
  let high = upTo;
  if (high === undefined) {
    const end = filter.until && (await numberSince(read, filter.until));
    high = end ? end - 1 : await lastNumber(read, now);
  }
  const first = filter.since ? await numberSince(read, filter.since) : 1;
  if (first === undefined) return { items: [] };
  const items: Entry[] = [];
  for (let part = 0; part < MOST_PARTS && items.length < ENOUGH && high >= first; part += 1) {
    // Where nothing is left out, no more is read than is shown.
    const span = filter.actor || filter.action || filter.object ? PART : ENOUGH;
    const low = Math.max(first - 1, high - span);
    const page = await read(filter, low, high - low);
    const limit = high;
    items.push(...page.items.filter(({ number }) => number <= limit).reverse());
    high = low;
  }
  return { items, next: high >= first ? high : undefined };
}

/** Every entry of a filter, oldest first, a part at a time. */
export async function* everyEntry(read: Read, filter: AuditFilter) {
  for (let next: number | undefined = 0; next !== undefined; ) {
    const page = await read(filter, next, PART);
    yield page.items;
    next = page.next ? Number(page.next) : undefined;
  }
}
