import { expect, it } from "vitest";
import {
  bucketsOf,
  columnsOf,
  readChosen,
  readPeriod,
  spanOf,
} from "../src/pages/device/metrics/points";

const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString();
const minutes = (...numbers: number[]) => numbers.map((n) => ({ at: at(n), value: n }));

it("draws no line over a time without measurements", () => {
  const [times, , , means] = columnsOf(minutes(0, 5, 10, 15, 60, 65));
  expect(means).toEqual([0, 5, 10, 15, null, 60, 65]);
  expect(times).toEqual([...times].sort((a, b) => a - b));
  expect(columnsOf(minutes(0, 60))[3]).toEqual([0, 60]);
  expect(columnsOf([])).toEqual([[], [], [], []]);
});

it("has the range of hours", () => {
  const hour = { at: at(0), value: 2, minimum: 1, maximum: 4 };
  expect(columnsOf([hour]).slice(1)).toEqual([[1], [4], [2]]);
  expect(bucketsOf([hour], 10)).toEqual([{ at: at(0), mean: 2, least: 1, largest: 4 }]);
});

it("gives noise no whole axis, and leaves room around the line", () => {
  expect(spanOf(100, 100)).toEqual([98.8, 101.2]);
  expect(spanOf(0, 100)).toEqual([0, 110]);
  expect(spanOf(-50, 50)).toEqual([-60, 60]);
  expect(spanOf(0, 0)).toEqual([0, 0.6]);
  expect(spanOf(null, null)).toEqual([0, 1]);
});

it("tells many points in few rows", () => {
  const points = minutes(...Array.from({ length: 101 }, (_, index) => index));
  const buckets = bucketsOf(points, 10);
  expect(buckets).toHaveLength(10);
  expect(buckets[0]).toEqual({ at: at(0), mean: 5, least: 0, largest: 10 });
  expect(buckets.at(-1)).toEqual({ at: at(99), mean: 99.5, least: 99, largest: 100 });
  expect(bucketsOf([], 10)).toEqual([]);
});

it("draws what the address says, or what most want to see", () => {
  const known = ["a", "b", "cpu.used_percent", "d"];
  expect(readChosen(null, known)).toEqual(["cpu.used_percent"]);
  expect(readChosen(null, ["a", "b", "c", "d"])).toEqual(["a", "b", "c"]);
  expect(readChosen("b,nothing,a", known)).toEqual(["b", "a"]);
  expect(readChosen("", known)).toEqual([]);
  expect(readPeriod("7d").hours).toBe(168);
  expect(readPeriod("9y").value).toBe("1d");
});
