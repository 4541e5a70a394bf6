import type { Schemas } from "../../../api/client";

type Point = Schemas["MetricPoint"];

/** Columns of a chart: times in seconds, the least and largest values where there are such, and means. */
export type Columns = [number[], (number | null)[], (number | null)[], (number | null)[]];

/** Without news for so many times the usual, a line has a gap. */
const GAP = 3.5;

const seconds = (point: Point) => Date.parse(point.at) / 1000;

/** The distance between two points that is the usual one; none when there are too few. */
function usualDistance(times: number[]): number | undefined {
  const distances = times.slice(1).map((time, index) => time - (times[index] ?? time));
  distances.sort((a, b) => a - b);
  return distances.length > 2 ? distances[Math.floor(distances.length / 2)] : undefined;
}

/** Points as columns; where nothing was measured for a while is a point without a value. */
export function columnsOf(points: Point[]): Columns {
  const columns: Columns = [[], [], [], []];
  const times = points.map(seconds);
  const usual = usualDistance(times);
  const add = (time: number, ...values: (number | null)[]) => {
    columns[0].push(time);
    values.forEach((value, index) => {
      (columns[index + 1] as (number | null)[]).push(value);
    });
  };
  points.forEach((point, index) => {
    const time = times[index] ?? 0;
    const before = times[index - 1];
    if (usual && before !== undefined && time - before > GAP * usual) {
      add((time + before) / 2, null, null, null);
    }
    add(time, point.minimum ?? null, point.maximum ?? null, point.value);
  });
  return columns;
}

/** No smaller part of a value is worth a look: noise would fill the chart, and labels be alike. */
const LEAST_SPAN = 0.02;
/** What is free above and below the line, as a part of what it spans. */
const AROUND = 0.1;

/** What the axis of values spans for what is drawn. */
export function spanOf(least: number | null, largest: number | null): [number, number] {
  if (least === null || largest === null) return [0, 1];
  const middle = (least + largest) / 2;
  const span = Math.max(largest - least, Math.abs(middle) * LEAST_SPAN) || 1;
  const half = span * (0.5 + AROUND);
  // What is never negative has no axis below zero.
  return [least >= 0 ? Math.max(0, middle - half) : middle - half, middle + half];
}

export interface Bucket {
  /** When its first point was measured. */
  at: string;
  mean: number;
  least: number;
  largest: number;
}

/** No more than so many stretches of points, for who reads rather than looks. */
export function bucketsOf(points: Point[], most: number): Bucket[] {
  const size = Math.max(1, Math.ceil(points.length / most));
  const buckets: Bucket[] = [];
  for (let at = 0; at < points.length; at += size) {
    const some = points.slice(at, at + size);
    const first = some[0];
    if (!first) break;
    buckets.push({
      at: first.at,
      mean: some.reduce((sum, { value }) => sum + value, 0) / some.length,
      least: Math.min(...some.map(({ value, minimum }) => minimum ?? value)),
      largest: Math.max(...some.map(({ value, maximum }) => maximum ?? value)),
    });
  }
  return buckets;
}

export const periods = [
  { value: "1h", label: "Hour", words: "the last hour", hours: 1 },
  { value: "1d", label: "Day", words: "the last day", hours: 24 },
  { value: "7d", label: "Week", words: "the last week", hours: 7 * 24 },
  { value: "30d", label: "Month", words: "the last 30 days", hours: 30 * 24 },
  { value: "90d", label: "Quarter", words: "the last 90 days", hours: 90 * 24 },
] as const;

export type Period = (typeof periods)[number];

export function readPeriod(text: string | null): Period {
  return periods.find(({ value }) => value === text) ?? periods[1];
}

/** What is drawn before somebody chooses, as far as the device has it. */
const usual = ["cpu.used_percent", "memory.available_bytes", "disk.available_bytes"];

/** The metrics to draw: those in the address, or the usual ones. */
export function readChosen(text: string | null, known: string[]): string[] {
  if (text !== null) {
    return text
      .split(",")
      .filter((name) => known.includes(name))
      .slice(0, MOST_CHARTS);
  }
  const some = usual.filter((name) => known.includes(name));
  return some.length > 0 ? some : known.slice(0, 3);
}

export const MOST_CHARTS = 8;
