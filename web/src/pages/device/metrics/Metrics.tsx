import { MultiSelect, SegmentedControl } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useSearchParams } from "react-router";
import type { Schemas } from "../../../api/client";
import * as queries from "../../../api/queries";
import { Empty, Loading } from "../../../ui/Empty";
import { Card } from "../../../ui/Page";
import { Problem } from "../../../ui/Problem";
import { Scroll } from "../../../ui/Scroll";
import css from "../../../ui/ui.module.css";
import { valueInWords } from "../../../ui/values";
import { When } from "../../../ui/When";
import { MetricChart } from "./MetricChart";
import own from "./metrics.module.css";
import { MOST_CHARTS, periods, readChosen, readPeriod } from "./points";

/** What a device measures: some of it over time, and the newest value of all. */
export default function Metrics({ id }: { id: string }) {
  const { data, error, refetch } = useQuery(queries.metrics(id));
  const [search, setSearch] = useSearchParams();
  const period = readPeriod(search.get("period"));
  const names = data?.map(({ name }) => name) ?? [];
  const chosen = readChosen(search.get("metrics"), names);
  const change = (key: string, value: string) => {
    const next = new URLSearchParams(search);
    next.set(key, value);
    setSearch(next, { replace: true, state: { keepFocus: true } });
  };
  return (
    <Card title="Metrics" wide>
      {error && !data && <Problem error={error} retry={refetch} />}
      {!data && !error && <Loading />}
      {data?.length === 0 && (
        <Empty title="It has measured nothing yet">
          The agent measures processor, memory, disk, network and temperatures every five minutes,
          unless <code>telemetry.metrics_sec</code> in its configuration is 0. Your own programs in{" "}
          <code>/etc/updraft/metrics.d</code> add to it.
        </Empty>
      )}
      {data && data.length > 0 && (
        <div className={css.stack}>
          <div className={css.row}>
            <SegmentedControl
              aria-label="Over which time"
              size="xs"
              value={period.value}
              onChange={(value) => change("period", value)}
              data={periods.map(({ value, label }) => ({ value, label }))}
            />
            <MultiSelect
              className={own.choice}
              aria-label="Metrics to draw"
              data={names}
              value={chosen}
              onChange={(value) => change("metrics", value.join(","))}
              maxValues={MOST_CHARTS}
              searchable
              hidePickedOptions
              placeholder={chosen.length === 0 ? "Choose metrics to draw" : undefined}
            />
          </div>
          <div className={own.charts}>
            {chosen.map((name) => (
              <MetricChart key={name} id={id} name={name} period={period} />
            ))}
          </div>
          <details>
            <summary>The newest value of each of {data.length} metrics</summary>
            <Newest metrics={data} />
          </details>
        </div>
      )}
    </Card>
  );
}

function Newest({ metrics }: { metrics: Schemas["Metric"][] }) {
  return (
    <Scroll label="The newest values">
      <table className={css.table}>
        <thead>
          <tr>
            <th scope="col">Metric</th>
            <th scope="col">Value</th>
            <th scope="col">Measured</th>
          </tr>
        </thead>
        <tbody>
          {metrics.map(({ name, value, at }) => (
            <tr key={name}>
              <td>
                <code>{name}</code>
              </td>
              <td title={String(value)}>{valueInWords(name, value)}</td>
              <td>
                <When at={at} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
