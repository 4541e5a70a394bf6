import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "react-router";
import type { Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { Bar } from "../../ui/Bar";
import { Loading } from "../../ui/Empty";
import { EventList } from "../../ui/EventList";
import { deviceAt, releaseAt } from "../../ui/links";
import { Card, Page } from "../../ui/Page";
import { Problem } from "../../ui/Problem";
import { State } from "../../ui/State";
import css from "../../ui/ui.module.css";
import { When } from "../../ui/When";
import { parts } from "../rollouts/RolloutRow";
import { Members } from "./Members";
import { RolloutActions } from "./RolloutActions";
import { scopeInWords, selectorInWords } from "./words";

export default function Rollout() {
  const { name = "" } = useParams();
  const { data, error, refetch } = useQuery(queries.rollout(name));
  return (
    <Page
      title={name}
      tab={data ? `${name}: ${data.state}` : name}
      about={
        data && (
          <>
            <State of={data.state} /> · brings{" "}
            <Link to={releaseAt(data.release)}>{data.release}</Link> · begun{" "}
            <When at={data.created_at} />
          </>
        )
      }
      actions={data && <RolloutActions rollout={data} />}
    >
      {error && !data && <Problem error={error} retry={refetch} />}
      {!data && !error && <Loading />}
      {data && (
        <>
          {data.reason && (
            <Card>
              <b>{data.state === "stopped" ? "Why it stopped: " : "Why: "}</b>
              {data.reason}
            </Card>
          )}
          <div className={css.grid}>
            <Card title="Devices" wide>
              <p>
                <span className={css.number}>
                  {data.counts.succeeded.toLocaleString("en")}
                  <span className={css.quiet}> / {data.counts.total.toLocaleString("en")}</span>
                </span>{" "}
                run it
              </p>
              <Bar parts={parts(data.counts)} />
            </Card>
            <Phases rollout={data} />
            <Failures name={name} failed={data.counts.failed} />
            <Rules rollout={data} />
            <Members name={name} total={data.counts.total + data.counts.skipped} />
            <Happened name={name} />
          </div>
        </>
      )}
    </Page>
  );
}

function Phases({ rollout }: { rollout: Schemas["Rollout"] }) {
  return (
    <Card title="Phases" wide>
      <ol className={css.list}>
        {rollout.phases.map((phase, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: phases have no other name
          <li key={index} style={{ padding: "0.75rem 0" }}>
            <div className={css.row} style={{ marginBottom: "0.5rem" }}>
              <b>
                {index + 1}. {selectorInWords(phase.selector)}
              </b>
              <State of={phase.state} />
              {index === rollout.current_phase && rollout.state === "running" && (
                <span className={css.quiet}>now</span>
              )}
            </div>
            <Bar parts={parts(phase.counts)} />
          </li>
        ))}
      </ol>
    </Card>
  );
}

function Failures({ name, failed }: { name: string; failed: number }) {
  const { data } = useQuery({ ...queries.rolloutFailures(name), enabled: failed > 0 });
  return (
    <Card title="Why devices failed">
      {failed === 0 && <p className={css.quiet}>None has failed.</p>}
      <ul className={css.list}>
        {failed > 0 &&
          data?.items.map((cluster) => (
            <li key={cluster.reason} style={{ padding: "0.6rem 0" }}>
              <b>
                {cluster.devices.toLocaleString("en")}{" "}
                {cluster.devices === 1 ? "device" : "devices"}
              </b>
              : {cluster.reason || "no reason was given"}
              <p className={`${css.small} ${css.quiet}`} style={{ margin: 0 }}>
                such as <Link to={deviceAt(cluster.example)}>{cluster.example}</Link>
                {cluster.last_at && (
                  <>
                    , the last one <When at={cluster.last_at} />
                  </>
                )}
              </p>
            </li>
          ))}
      </ul>
    </Card>
  );
}

/** What the rollout goes by. What else a server lets rollouts go by belongs here. */
function Rules({ rollout }: { rollout: Schemas["Rollout"] }) {
  const { success_threshold: success, failure_threshold: failure } = rollout;
  const timeout = rollout.device_timeout_seconds;
  return (
    <Card title="Rules">
      <dl className={css.facts}>
        <dt>For</dt>
        <dd>{scopeInWords(rollout.scope)}</dd>
        <dt>Goes on</dt>
        <dd>
          when {success.percent} % of a phase have succeeded, at least {success.minimum}
        </dd>
        <dt>Stops</dt>
        <dd>
          when {failure.percent} % of a phase have failed, at least {failure.minimum}
        </dd>
        <dt>No news</dt>
        <dd>{timeout ? `is a failure after ${timeout / 3600} h` : "devices have for ever"}</dd>
      </dl>
    </Card>
  );
}

function Happened({ name }: { name: string }) {
  const { data } = useQuery(queries.newestEvents({ rollout: name }, 20));
  return (
    <Card title="What happened" wide>
      {data && <EventList events={data.items} without="rollout" />}
    </Card>
  );
}
