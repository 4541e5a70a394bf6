import { describe, expect, it } from "vitest";
import { Chain, hashedText, readCheckpoint, writeCheckpoint } from "../src/pages/audit/chain";
import { filterOf, readSearch, writeSearch } from "../src/pages/audit/filter";
import { type Entry, entriesUpTo, lastNumber, type Read } from "../src/pages/audit/reading";

/** The first two entries of a server. */
const first: Entry = {
  number: 1,
  at: "2026-11-28T21:23:02.906Z",
  actor: "cli:uid-0",
  credential: "data folder",
  address: null,
  action: "store the Director's root",
  object: "updraft-server init",
  outcome: "done",
  details: [],
  request_id: "12ace5bb-65ca-4a1d-a4fb-1c3c98d7117b",
  previous: "0".repeat(64),
  hash: "17e04276b585f47f872bb6f9c0ad6d62b1af95daf2fb14a68cdc4eb8844b7582",
};
const second: Entry = {
  ...first,
  number: 2,
  at: "2026-11-28T21:23:03.363Z",
  action: "make a user",
  object: "updraft-server user",
  details: ["user anna was made as admin"],
  request_id: "08762d05-d7c2-4d35-b521-806cb88eb74a",
  previous: first.hash ?? "",
  hash: "aa477bf129b1600dd2f8dc0a710b996e49ae0e742fc6a476715d769ec6a7d52a",
};

describe("the chain of the audit log", () => {
  const follow = async (entries: Entry[], pinned?: string) => {
    const chain = new Chain(pinned ? readCheckpoint(pinned) : undefined);
    await chain.take(entries);
    chain.end();
    return chain;
  };
  it("is whole as the server made it", async () => {
    const chain = await follow([first, second], `1:${first.hash}`);
    expect(chain.wrong).toBeUndefined();
    expect(writeCheckpoint(chain.last)).toBe(`2:${second.hash}`);
  });
  it.each([
    ["a changed entry", [{ ...first, actor: "user:eve" }, second], /Entry 1 was changed/],
    ["a removed entry", [second], /Entry 1 is missing/],
    ["another entry before", [first, { ...second, previous: "1".repeat(64) }], /does not follow/],
  ])("shows %s", async (_, entries, wrong) => {
    expect((await follow(entries)).wrong).toMatch(wrong);
  });
  it("shows an end that was cut off, and a chain made anew", async () => {
    expect((await follow([first], `2:${second.hash}`)).wrong).toMatch(/cut off/);
    expect((await follow([first, second], `1:${second.hash}`)).wrong).toMatch(/made anew/);
  });
  it("is counted over ASCII", () => {
    expect(hashedText({ ...first, details: ["für 🐤\n\u007f"] })).toContain(
      '"details":["f\\u00fcr \\ud83d\\udc24\\n\u007f"]',
    );
  });
  it("takes no checkpoint that is none", () => {
    expect(readCheckpoint(` 7:${"A".repeat(64)} `)).toEqual({ number: 7, hash: "a".repeat(64) });
    for (const text of ["", "7", "7:abc", `x:${"0".repeat(64)}`]) {
      expect(readCheckpoint(text)).toBeUndefined();
    }
  });
});

describe("the newest entries", () => {
  const now = Date.parse("2026-11-28T12:00:00Z");
  /** A log with an entry each minute until `age` minutes ago; every tenth is anna's. */
  const log = (count: number, age = 0) => {
    const asked: number[] = [];
    const entries = Array.from({ length: count }, (_, index) => ({
      ...first,
      number: index + 1,
      at: new Date(now - (count - 1 - index + age) * 60_000).toISOString(),
      actor: index % 10 === 0 ? "user:anna" : "user:bert",
    }));
    const read: Read = async ({ actor, since, until }, after, limit) => {
      asked.push(after);
      const found = entries.filter(
        (entry) =>
          entry.number > after &&
          (!actor || entry.actor === actor) &&
          (!since || entry.at >= since) &&
          (!until || entry.at < until),
      );
      const items = found.slice(0, limit);
      return { items, next: found.length > limit ? String(items.at(-1)?.number) : null };
    };
    return { read, asked };
  };
  it("come first, part by part", async () => {
    const { read } = log(120);
    const one = await entriesUpTo(read, {}, undefined, now);
    expect([one.items[0]?.number, one.items.at(-1)?.number, one.next]).toEqual([120, 71, 70]);
    const two = await entriesUpTo(read, {}, one.next, now);
    expect([two.items[0]?.number, two.next]).toEqual([70, 20]);
    expect((await entriesUpTo(read, {}, 20, now)).next).toBeUndefined();
  });
  it("are found in a long log, and in one that is silent", async () => {
    const long = log(5000);
    expect(await lastNumber(long.read, now)).toBe(5000);
    expect(long.asked).toHaveLength(1);
    expect(await lastNumber(log(3, 60 * 24 * 90).read, now)).toBe(3);
    expect(await lastNumber(log(0).read, now)).toBe(0);
  });
  it("keep to a filter and a period", async () => {
    const { read } = log(3000);
    const part = await entriesUpTo(read, { actor: "user:anna" }, undefined, now);
    expect(part.items.map(({ actor }) => actor)).toEqual(Array(100).fill("user:anna"));
    expect(part.next).toBe(2000);
    const since = new Date(now - 5 * 60_000).toISOString();
    const recent = await entriesUpTo(read, { since }, undefined, now);
    expect(recent.items.map(({ number }) => number)).toEqual([3000, 2999, 2998, 2997, 2996, 2995]);
    expect(recent.next).toBeUndefined();
    const until = new Date(now - 10 * 60_000).toISOString();
    const older = await entriesUpTo(read, { until }, undefined, now);
    expect([older.items[0]?.number, older.next]).toEqual([2989, 2939]);
    expect(await entriesUpTo(log(0).read, { since }, undefined, now)).toEqual({ items: [] });
  });
});

it("keeps its filter in the address", () => {
  const search = readSearch(new URLSearchParams("actor=user%3Aanna&period=7d&x=1"));
  expect(readSearch(new URLSearchParams(writeSearch(search)))).toEqual(search);
  const now = Date.parse("2026-11-28T12:00:00Z");
  expect(filterOf(search, now)).toEqual({ actor: "user:anna", since: "2026-11-21T12:00:00.000Z" });
  expect(readSearch(new URLSearchParams("period=9y")).period).toBe("");
  const range = "period=range&from=2026-11-01T00%3A00%3A00.000Z&to=soon";
  const between = readSearch(new URLSearchParams(range));
  expect(filterOf(between, now)).toEqual({ since: "2026-11-01T00:00:00.000Z" });
  // Bounds of a range that was left say nothing.
  expect(writeSearch({ ...between, period: "" })).toEqual([]);
});
