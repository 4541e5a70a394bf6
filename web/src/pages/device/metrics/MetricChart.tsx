import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link } from "react-router";
import * as queries from "../../../api/queries";
import { useMay } from "../../../session/SessionContext";
import { Loading } from "../../../ui/Empty";
import { ruleAbout } from "../../../ui/links";
import { Problem } from "../../../ui/Problem";
import { Scroll } from "../../../ui/Scroll";
import css from "../../../ui/ui.module.css";
import { valueInWords } from "../../../ui/values";
import { Chart } from "./Chart";
import own from "./metrics.module.css";
import { type Bucket, bucketsOf, columnsOf, type Period } from "./points";

const ROWS = 48;

/** One metric over a period: as a chart, and the same as a table. */
export function MetricChart({ id, name, period }: { id: string; name: string; period: Period }) {
  const { data, error, refetch, dataUpdatedAt } = useQuery(queries.metric(id, name, period.hours));
  const columns = useMemo(() => columnsOf(data?.points ?? []), [data]);
  const buckets = useMemo(() => bucketsOf(data?.points ?? [], ROWS), [data]);
  const may = useMay();
  const to = (dataUpdatedAt || Date.now()) / 1000;
  return (
    <section className={own.metric} aria-label={name}>
      <div className={css.cardHead}>
        <h3>{name}</h3>
        {may("operate") && (
          <Link className={css.small} to={ruleAbout(name)} aria-label={`Make an alert on ${name}`}>
            alert
          </Link>
        )}
      </div>
      {error && !data && <Problem error={error} retry={refetch} />}
      {!data && !error && <Loading />}
      {data && buckets.length === 0 && (
        <p className={css.quiet}>Nothing was measured in {period.words}.</p>
      )}
      {data && buckets.length > 0 && (
        <>
          <Chart
            name={name}
            columns={columns}
            label={summary(name, period, buckets)}
            from={to - period.hours * 3600}
            to={to}
          />
          {data.truncated && (
            <p className={css.quiet}>There are older values, too many to be shown.</p>
          )}
          <details className={css.small}>
            <summary>{name} as a table</summary>
            <BucketTable name={name} buckets={buckets} />
          </details>
        </>
      )}
    </section>
  );
}

function summary(name: string, period: Period, buckets: Bucket[]): string {
  const words = (value: number) => valueInWords(name, value);
  const least = Math.min(...buckets.map(({ least }) => least));
  const largest = Math.max(...buckets.map(({ largest }) => largest));
  const last = buckets.at(-1)?.mean ?? 0;
  return `${name} over ${period.words}: from ${words(least)} to ${words(largest)}, at the end ${words(last)}`;
}

function BucketTable({ name, buckets }: { name: string; buckets: Bucket[] }) {
  return (
    <Scroll label={`${name} as a table`}>
      <table className={css.table}>
        <thead>
          <tr>
            <th scope="col">From</th>
            <th scope="col">Least</th>
            <th scope="col">Mean</th>
            <th scope="col">Largest</th>
          </tr>
        </thead>
        <tbody>
          {buckets.map(({ at, least, mean, largest }) => (
            <tr key={at}>
              <td>
                <time dateTime={at}>{new Date(at).toLocaleString()}</time>
              </td>
              <td>{valueInWords(name, least)}</td>
              <td>{valueInWords(name, mean)}</td>
              <td>{valueInWords(name, largest)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
