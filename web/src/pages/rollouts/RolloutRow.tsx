import { Link } from "react-router";
import type { Schemas } from "../../api/client";
import { Bar } from "../../ui/Bar";
import { releaseAt, rolloutAt } from "../../ui/links";
import { State } from "../../ui/State";
import css from "../../ui/ui.module.css";
import { When } from "../../ui/When";
import own from "./rollouts.module.css";

/** The states of a rollout's devices, from done to not begun. */
export function parts(counts: Schemas["RolloutCounts"]) {
  return [
    { state: "succeeded", count: counts.succeeded },
    { state: "failed", count: counts.failed },
    { state: "rollback_failed", count: counts.rollback_failed ?? 0 },
    { state: "rolling_back", count: counts.rolling_back ?? 0 },
    { state: "rolled_back", count: counts.rolled_back ?? 0 },
    { state: "started", count: counts.started },
    { state: "assigned", count: counts.assigned },
    { state: "waiting", count: counts.waiting },
    { state: "cancelled", count: counts.cancelled },
    { state: "skipped", count: counts.skipped },
  ];
}

/** A rollout in a list. */
export function RolloutRow({ rollout }: { rollout: Schemas["Rollout"] }) {
  const { phases, current_phase } = rollout;
  return (
    <li className={own.row}>
      <div className={own.head}>
        <Link to={rolloutAt(rollout.name)} className={own.name}>
          {rollout.name}
        </Link>
        <State of={rollout.state} />
        <span className={css.quiet}>
          brings <Link to={releaseAt(rollout.release)}>{rollout.release}</Link>
          {phases.length > 1 &&
            !rollout.ended_at &&
            ` · phase ${current_phase + 1} of ${phases.length}`}
          {" · "}
          {rollout.ended_at ? (
            <>
              ended <When at={rollout.ended_at} />
            </>
          ) : (
            <>
              {rollout.begun_at ? "begun " : "made "}
              <When at={rollout.begun_at ?? rollout.created_at} />
            </>
          )}
        </span>
      </div>
      <Bar parts={parts(rollout.counts)} />
      {rollout.reason && <p className={own.reason}>{rollout.reason}</p>}
    </li>
  );
}
