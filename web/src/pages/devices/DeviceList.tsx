import { IconArrowDown, IconArrowUp } from "@tabler/icons-react";
import { useVirtualizer } from "@tanstack/react-virtual";
import { useRef, useState } from "react";
import { useMay } from "../../session/SessionContext";
import { Empty, Loading } from "../../ui/Empty";
import { Problem } from "../../ui/Problem";
import css from "../../ui/ui.module.css";
import { BulkBar } from "./BulkBar";
import { DeviceRow } from "./DeviceRow";
import own from "./devices.module.css";
import { type Column, type Order, writeOrder } from "./filters";
import { useWindow } from "./useWindow";

const columns: { column: Column | "groups"; label: string }[] = [
  { column: "id", label: "Device" },
  { column: "state", label: "State" },
  { column: "release", label: "Runs" },
  { column: "hardware_id", label: "Hardware" },
  { column: "groups", label: "Groups" },
  { column: "last_seen", label: "Last seen" },
];
const narrow = typeof matchMedia === "undefined" ? null : matchMedia("(max-width: 52rem)");

interface Props {
  filter: string;
  order: Order;
  onOrder: (order: Order) => void;
}

/** All devices of a filter. Only the rows that can be seen are there, however many there are. */
export function DeviceList({ filter, order, onOrder }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState<[number, number]>([0, 0]);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const mayChoose = useMay()("operate");
  const list = useWindow(
    { filter: filter || undefined, sort: writeOrder(order) },
    range[0],
    range[1],
  );
  const rows = useVirtualizer({
    count: list.total ?? 0,
    getScrollElement: () => box.current,
    estimateSize: () => (narrow?.matches ? 92 : 46),
    overscan: 12,
    onChange: (instance) => {
      const { startIndex = 0, endIndex = 0 } = instance.range ?? {};
      setRange((old) =>
        old[0] === startIndex && old[1] === endIndex ? old : [startIndex, endIndex],
      );
    },
  });
  if (list.error && list.total === undefined) {
    return <Problem error={list.error} retry={list.retry} />;
  }
  if (list.total === undefined) return <Loading />;
  if (list.total === 0) return <Nobody filter={filter} />;
  const choose = (id: string, on: boolean) => {
    const next = new Set(chosen);
    if (on) next.add(id);
    else next.delete(id);
    setChosen(next);
  };
  const visible = rows.getVirtualItems().flatMap(({ index }) => list.at(index)?.id ?? []);
  const allVisible = visible.length > 0 && visible.every((id) => chosen.has(id));
  const chooseVisible = () =>
    setChosen(
      allVisible
        ? new Set([...chosen].filter((id) => !visible.includes(id)))
        : new Set([...chosen, ...visible]),
    );
  return (
    <section className={css.card} aria-label="Devices">
      <BulkBar
        total={list.total}
        filter={filter}
        chosen={chosen}
        onChosen={setChosen}
        mayChoose={mayChoose}
      />
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
      <div className={own.scroll} ref={box} tabIndex={0} role="group" aria-label="List of devices">
        <div role="table" aria-label="Devices" aria-rowcount={list.total + 1} className={own.table}>
          <div role="rowgroup" className={own.headGroup}>
            <div role="row" aria-rowindex={1} className={`${own.row} ${own.headRow}`}>
              <span role="columnheader" className={own.check}>
                {mayChoose ? (
                  <input
                    type="checkbox"
                    className={own.box}
                    aria-label="Choose all that can be seen"
                    checked={allVisible}
                    onChange={chooseVisible}
                  />
                ) : (
                  <span className={own.hidden}>Number</span>
                )}
              </span>
              {columns.map(({ column, label }) =>
                column === "groups" ? (
                  <span role="columnheader" key={column}>
                    {label}
                  </span>
                ) : (
                  <Heading key={column} {...{ column, label, order, onOrder }} />
                ),
              )}
            </div>
          </div>
          <div role="rowgroup" className={own.body} style={{ height: rows.getTotalSize() }}>
            {rows.getVirtualItems().map(({ index, start, size }) => (
              <DeviceRow
                key={index}
                index={index}
                style={{ transform: `translateY(${start}px)`, height: size }}
                device={list.at(index)}
                chosen={chosen.has(list.at(index)?.id ?? "")}
                onChoose={mayChoose ? choose : undefined}
              />
            ))}
          </div>
        </div>
      </div>
    </section>
  );
}

function Heading({
  column,
  label,
  order,
  onOrder,
}: {
  column: Column;
  label: string;
  order: Order;
  onOrder: (order: Order) => void;
}) {
  const isOrder = order.column === column;
  const sort = isOrder ? (order.descending ? "descending" : "ascending") : "none";
  const Arrow = order.descending ? IconArrowDown : IconArrowUp;
  return (
    <span role="columnheader" aria-sort={sort}>
      <button
        type="button"
        className={own.sort}
        onClick={() => onOrder({ column, descending: isOrder && !order.descending })}
      >
        {label}
        {isOrder && <Arrow size={14} aria-hidden />}
      </button>
    </span>
  );
}

function Nobody({ filter }: { filter: string }) {
  return (
    <section className={css.card} aria-label="Devices">
      {filter ? (
        <Empty title="No device is like that">
          A filter compares fields: <code>state==failed</code>, <code>group==lab</code>,{" "}
          <code>id==truck-*</code>, <code>last_seen=lt=-7d</code>. A semicolon is “and”, a comma is
          “or”. Words alone are looked for in ids.
        </Empty>
      ) : (
        <Empty
          title="No devices yet"
          command="updraft-server credentials --out credentials.zip --url https://THIS-SERVER"
        >
          Put the credentials file on a device, name it as <code>provision.provision_path</code> in
          the configuration of <code>updraftd</code>, and start the agent: the device then appears
          here by itself.
        </Empty>
      )}
    </section>
  );
}
