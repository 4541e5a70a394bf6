import { useQuery } from "@tanstack/react-query";
import { Link, useParams } from "react-router";
import type { Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { useSession } from "../../session/SessionContext";
import { Bar } from "../../ui/Bar";
import { durationInWords } from "../../ui/duration";
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
import { Rules } from "./Rules";
import { isOwn } from "./verbs";
import { selectorInWords, thresholdInWords } from "./words";

const whys: Partial<Record<Schemas["RolloutState"], string>> = {
  stopped: "Why it stopped: ",
  paused: "Why it waits: ",
  rolling_back: "Why it goes back: ",
  rolled_back: "Why it went back: ",
};

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
            <Link to={releaseAt(data.release)}>{data.release}</Link> ·{" "}
            {data.begun_at ? "begun " : "made "}
            <When at={data.begun_at ?? data.created_at} />
            {data.created_by && ` by ${data.created_by}`}
          </>
        )
      }
      actions={data && <RolloutActions rollout={data} />}
    >
      {error && !data && <Problem error={error} retry={refetch} />}
      {!data && !error && <Loading />}
      {data && (
        <>
          <Waits rollout={data} />
          {data.reason && (
            <Card>
              <b>{whys[data.state] ?? "Why: "}</b>
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
            <PhaseRules phase={phase} rollout={rollout} />
          </li>
        ))}
      </ol>
    </Card>
  );
}

/** What of a phase is another than the rollout's rules, and how far its soak time is. */
function PhaseRules({ phase, rollout }: { phase: Schemas["Phase"]; rollout: Schemas["Rollout"] }) {
  const differs = (a: Schemas["Threshold"], b: Schemas["Threshold"]) =>
    a.percent !== b.percent || a.minimum !== b.minimum;
  const rules = [
    differs(phase.success_threshold, rollout.success_threshold) &&
      `good enough at ${thresholdInWords(phase.success_threshold)}`,
    differs(phase.failure_threshold, rollout.failure_threshold) &&
      `fails at ${thresholdInWords(phase.failure_threshold)}`,
    phase.soak_seconds > 0 && `stays good enough for ${durationInWords(phase.soak_seconds)}`,
    !!phase.accepted_failures && `${phase.accepted_failures} failures were let go`,
    !!phase.counts.unhealthy && `${phase.counts.unhealthy} are unhealthy`,
  ].filter((rule): rule is string => !!rule);
  if (rules.length === 0 && !phase.soaking_since) return null;
  return (
    <p className={`${css.small} ${css.quiet}`} style={{ margin: "0.4rem 0 0" }}>
      {rules.join(" · ")}
      {phase.soaking_since && (
        <>
          {rules.length > 0 && " · "}good enough since <When at={phase.soaking_since} />
        </>
      )}
    </p>
  );
}

/** For whom or what a rollout waits that has not begun, and what the second person said. */
function Waits({ rollout }: { rollout: Schemas["Rollout"] }) {
  const session = useSession();
  const { state, decision, starts_at } = rollout;
  return (
    <>
      {state === "waiting_for_approval" && (
        <p className={css.note} role="status">
          {isOwn(rollout, session)
            ? "You made it: somebody else has to approve before it begins."
            : "It begins once somebody else than its maker has approved. Look at its phases and rules."}
        </p>
      )}
      {state === "ready" && (
        <p className={css.note} role="status">
          It waits until somebody starts it.
        </p>
      )}
      {state === "scheduled" && (
        <p className={css.note} role="status">
          It begins by itself <When at={starts_at} none="at its time" />.
        </p>
      )}
      {decision && (
        <p className={css.note}>
          <b>{decision.approved ? "Approved" : "Denied"}</b> by {decision.by}
          {decision.remark && `: ${decision.remark}`}
        </p>
      )}
    </>
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

function Happened({ name }: { name: string }) {
  const { data } = useQuery(queries.newestEvents({ rollout: name }, 20));
  return (
    <Card title="What happened" wide>
      {data && <EventList events={data.items} without="rollout" />}
    </Card>
  );
}
