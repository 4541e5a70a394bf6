import { describe, expect, it } from "vitest";
import { outdated } from "../src/api/live";
import { ApiError, asProblem, problemOf } from "../src/api/problem";
import { asFilter, readOrder, writeOrder } from "../src/pages/devices/filters";
import { readRoot } from "../src/pages/metadata";
import { allows } from "../src/session/login";
import { nearness } from "../src/ui/Expiry";
import { quoted } from "../src/ui/links";
import { bytes, relative } from "../src/ui/time";

describe("times", () => {
  const now = new Date("2026-05-01T12:00:00Z");
  it.each([
    ["2026-05-01T12:00:00Z", "just now"],
    ["2026-05-01T11:59:30Z", "30 seconds ago"],
    ["2026-05-01T11:00:00Z", "1 hour ago"],
    ["2026-04-30T12:00:00Z", "yesterday"],
    ["2026-05-31T12:00:00Z", "next month"],
    ["2027-06-01T12:00:00Z", "next year"],
  ])("%s is %s", (at, words) => {
    expect(relative(new Date(at), now)).toBe(words);
  });
  it("knows what expires soon", () => {
    const at = now.getTime();
    expect(nearness("2026-06-01T12:00:00Z", at)).toBe(0);
    expect(nearness("2026-05-10T12:00:00Z", at)).toBe(1);
    expect(nearness("2026-05-01T11:59:59Z", at)).toBe(2);
  });
});

it("counts bytes for people", () => {
  expect([bytes(0), bytes(1023), bytes(1536), bytes(5 * 2 ** 30)]).toEqual([
    "0 B",
    "1023 B",
    "1.5 KiB",
    "5.0 GiB",
  ]);
});

describe("filters of devices", () => {
  it("takes words as part of an id", () => {
    expect(asFilter(" truck-7 ")).toBe('id=="*truck-7*"');
    expect(asFilter('a"*')).toBe('id=="*a\\"\\**"');
    expect(asFilter("state==failed")).toBe("state==failed");
    expect(asFilter("  ")).toBe("");
  });
  it("keeps orders in addresses", () => {
    expect(readOrder("last_seen:DESC")).toEqual({ column: "last_seen", descending: true });
    expect(readOrder("certificate:DESC")).toEqual({ column: "id", descending: false });
    expect(writeOrder(readOrder(null))).toBeUndefined();
    expect(writeOrder({ column: "id", descending: true })).toBe("id:DESC");
  });
  it("quotes values", () => {
    expect(quoted('v"1;state==failed')).toBe('"v\\"1;state==failed"');
  });
});

describe("events", () => {
  it("make just that old which they are about", () => {
    const keys = outdated({
      kind: "assignment_failed",
      device: "d1",
      rollout: "r1",
      actor: "server",
    });
    expect(keys).toContainEqual(["device", "d1"]);
    expect(keys).toContainEqual(["rollout", "r1"]);
    expect(keys).not.toContainEqual(["groups"]);
    expect(keys).not.toContainEqual(["audit"]);
    const changed = outdated({ kind: "group_changed", actor: "user:anna" });
    expect(changed).toContainEqual(["groups"]);
    expect(changed).toContainEqual(["audit"]);
    const fired = outdated({ kind: "alert_fired", device: "d1", actor: "server" });
    expect(fired).toContainEqual(["alerts"]);
    expect(fired).not.toContainEqual(["alert-rules"]);
  });
});

describe("scopes", () => {
  it("allow what the server allows", () => {
    const all = ["read", "publish", "operate", "admin"] as const;
    const matrix = all.map((has) => all.filter((needed) => allows([has], needed)).join(" "));
    expect(matrix).toEqual(["read", "read publish", "read operate", "read publish operate admin"]);
    expect(allows([], "operate")).toBe(false);
  });
});

describe("problems", () => {
  it("are read as the server tells them", async () => {
    const told = { title: "Conflict", status: 409, detail: "d", kind: "conflict", hint: "h" };
    const problem = await problemOf(new Response(JSON.stringify(told), { status: 409 }));
    expect(problem).toMatchObject(told);
    expect(asProblem(new ApiError(problem)).hint).toBe("h");
  });
  it("are made of answers of others", async () => {
    const problem = await problemOf(new Response("<html>", { status: 502 }));
    expect(problem.detail).toContain("502");
    expect(asProblem(new TypeError("failed to fetch")).title).toMatch(/cannot be reached/);
  });
});

describe("root metadata", () => {
  it("tells roles and keys", () => {
    const root = {
      signed: {
        keys: { aa: { keytype: "ED25519" } },
        roles: {
          targets: { keyids: ["aa", "bb"], threshold: 2 },
          root: { keyids: ["aa"], threshold: 1 },
        },
      },
    };
    expect(readRoot(root).map(({ name }) => name)).toEqual(["root", "targets"]);
    expect(readRoot(root)[1]?.keys).toEqual([
      { id: "aa", type: "ED25519" },
      { id: "bb", type: "" },
    ]);
  });
  it("reads anything else as nothing", () => {
    for (const file of [null, 7, {}, { signed: { roles: { root: 1 } } }]) {
      expect(readRoot(file).flatMap(({ keys }) => keys)).toEqual([]);
    }
  });
});
