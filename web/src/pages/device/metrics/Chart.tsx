import "uplot/dist/uPlot.min.css";
import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useRef } from "react";
import uPlot from "uplot";
import { valueInWords } from "../../../ui/values";
import own from "./metrics.module.css";
import { type Columns, spanOf } from "./points";

const HEIGHT = 180;
const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name);

interface Props {
  name: string;
  columns: Columns;
  /** What it shows, in words. */
  label: string;
  /** The stretch of time that it is about, in seconds. */
  from: number;
  to: number;
}

/** A line over time, with the range of each hour behind it. The charts of a page share a cursor. */
export function Chart({ name, columns, label, from, to }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const readout = useRef<HTMLParagraphElement>(null);
  const plot = useRef<uPlot>(undefined);
  const scheme = useComputedColorScheme("light");
  const stretch = useRef<[number, number]>([from, to]);
  stretch.current = [from, to];
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const made = new uPlot(
      options(name, element.clientWidth, stretch, readout),
      undefined,
      element,
    );
    plot.current = made;
    const resized = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [name]);
  useEffect(() => plot.current?.setData(columns as uPlot.AlignedData), [columns]);
  // Its colours are those of the page, which it reads while it draws.
  // biome-ignore lint/correctness/useExhaustiveDependencies: drawn anew when the colours change
  useEffect(() => plot.current?.redraw(false), [scheme]);
  return (
    <>
      <div ref={box} className={own.chart} role="img" aria-label={label} />
      <p ref={readout} className={own.readout} aria-hidden />
    </>
  );
}

/** Bytes are counted by these, so the axis is too. */
const powersOfTwo = Array.from({ length: 54 }, (_, power) => 2 ** power);
const day = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });
const clock = new Intl.DateTimeFormat("en", {
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});

/** A time at the axis: the hour, or the day where that is what changes. */
function timeInWords(seconds: number, step: number): string {
  const at = new Date(seconds * 1000);
  const isDay = step >= 86_400 || (at.getHours() === 0 && at.getMinutes() === 0);
  return (isDay ? day : clock).format(at);
}

function options(
  name: string,
  width: number,
  stretch: { readonly current: [number, number] },
  readout: { readonly current: HTMLElement | null },
): uPlot.Options {
  const axis: uPlot.Axis = {
    stroke: () => colour("--quiet"),
    grid: { stroke: () => colour("--line"), width: 1 },
    ticks: { stroke: () => colour("--line"), width: 1 },
    font: "12px system-ui, sans-serif",
  };
  const range = { stroke: "transparent", points: { show: false } };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    cursor: { sync: { key: "device" }, drag: { x: false, y: false }, y: false },
    scales: {
      x: { range: () => stretch.current },
      y: { range: (_, least, largest) => spanOf(least, largest) },
    },
    axes: [
      {
        ...axis,
        space: 60,
        values: (_, ticks, __, ___, step) => ticks.map((tick) => timeInWords(tick, step)),
      },
      {
        ...axis,
        size: 76,
        ...(name.endsWith("_bytes") ? { incrs: powersOfTwo } : {}),
        values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : valueInWords(name, tick))),
      },
    ],
    // The mean is the last: what is drawn later lies above.
    series: [
      {},
      range,
      range,
      { stroke: () => colour("--accent"), width: 1.75, points: { size: 4 } },
    ],
    bands: [{ series: [2, 1], fill: () => colour("--accent-soft") }],
    hooks: {
      setCursor: [
        ({ cursor, data }) => {
          if (!readout.current) return;
          const at = cursor.idx == null ? undefined : data[0][cursor.idx];
          const value = cursor.idx == null ? undefined : data[3]?.[cursor.idx];
          readout.current.textContent =
            at === undefined || value == null
              ? ""
              : `${new Date(at * 1000).toLocaleString()}: ${valueInWords(name, value)}`;
        },
      ],
    },
  };
}
