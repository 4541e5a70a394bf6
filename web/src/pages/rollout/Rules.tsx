import { Link } from "react-router";
import type { Schemas } from "../../api/client";
import { durationInWords } from "../../ui/duration";
import { releaseAt } from "../../ui/links";
import { Card } from "../../ui/Page";
import css from "../../ui/ui.module.css";
import { When } from "../../ui/When";
import {
  actions,
  onFailure,
  rateInWords,
  scopeInWords,
  thresholdInWords,
  windowInWords,
} from "./words";

/** What the rollout goes by; what it makes no use of is left out. */
export function Rules({ rollout }: { rollout: Schemas["Rollout"] }) {
  const timeout = rollout.device_timeout_seconds;
  const failure = onFailure[rollout.on_failure ?? "stop"];
  const windows = rollout.windows ?? [];
  return (
    <Card title="Rules">
      <dl className={css.facts}>
        <dt>For</dt>
        <dd>
          {scopeInWords(rollout.scope)}
          {rollout.takes_over && ", taken over from older rollouts"}
        </dd>
        {rollout.starts_at && (
          <>
            <dt>Begins</dt>
            <dd>
              <When at={rollout.starts_at} />
            </dd>
          </>
        )}
        <dt>Goes on</dt>
        <dd>when {thresholdInWords(rollout.success_threshold)} of a phase have succeeded</dd>
        <dt>Fails</dt>
        <dd>when {thresholdInWords(rollout.failure_threshold)} of a phase have failed</dd>
        <dt>Then</dt>
        <dd>
          {failure.label.toLowerCase()}: {failure.about}
          {rollout.rollback_release && (
            <>
              , or else{" "}
              <Link to={releaseAt(rollout.rollback_release)}>{rollout.rollback_release}</Link>
            </>
          )}
        </dd>
        {rollout.rate && (
          <>
            <dt>How fast</dt>
            <dd>{rateInWords(rollout.rate)}</dd>
          </>
        )}
        {rollout.max_active && (
          <>
            <dt>At a time</dt>
            <dd>at most {rollout.max_active.toLocaleString("en")} devices</dd>
          </>
        )}
        {rollout.max_bytes_per_second && (
          <>
            <dt>Bandwidth</dt>
            <dd>
              at most {(rollout.max_bytes_per_second / 1000).toLocaleString("en")} kB a second from
              each server
            </dd>
          </>
        )}
        {windows.length > 0 && (
          <>
            <dt>Windows</dt>
            <dd>
              {windows.map((window) => (
                <div key={JSON.stringify(window)}>{windowInWords(window)}</div>
              ))}
              <span className={css.quiet}>
                in the time of each device, or {rollout.time_zone ?? "UTC"}
              </span>
            </dd>
          </>
        )}
        <dt>Devices</dt>
        <dd>{actions[rollout.action ?? "forced"].about}</dd>
        <dt>Attempts</dt>
        <dd>{rollout.max_attempts ?? 1}</dd>
        <dt>No news</dt>
        <dd>
          {timeout ? `is a failure after ${durationInWords(timeout)}` : "devices have for ever"}
        </dd>
      </dl>
    </Card>
  );
}
