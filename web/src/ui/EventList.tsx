import {
  IconAlertTriangle,
  IconCircleCheck,
  IconCircleDot,
  IconCloudDownload,
  IconShieldX,
} from "@tabler/icons-react";
import { Link } from "react-router";
import type { Schemas } from "../api/client";
import { deviceAt, rolloutAt } from "./links";
import css from "./ui.module.css";
import { When } from "./When";

const bad =
  /failed|refused|unexpected|unreadable|expiring|stopped|revoked|deleted|denied|alert_fired/;
const good = /succeeded|finished|accepted|approved|alert_resolved/;
const busy = /assigned|started|resumed/;

function Mark({ kind }: { kind: string }) {
  const props = { size: 15, "aria-hidden": true } as const;
  if (kind === "attack_reported") return <IconShieldX {...props} className={css.bad} />;
  if (bad.test(kind)) return <IconAlertTriangle {...props} className={css.bad} />;
  if (good.test(kind)) return <IconCircleCheck {...props} className={css.good} />;
  if (busy.test(kind)) return <IconCloudDownload {...props} className={css.busy} />;
  return <IconCircleDot {...props} className={css.wait} />;
}

/** What happened, each with who did it and when, and what was sent along. */
export function EventList({
  events,
  without,
}: {
  events: Schemas["Event"][];
  /** What the page is about, and need not be said again. */
  without?: "device" | "rollout";
}) {
  return (
    <ol className={css.timeline}>
      {events.map((event) => (
        <li key={event.id}>
          <span className={css.mark}>
            <Mark kind={event.kind} />
          </span>
          <p>{event.message}</p>
          <p className={`${css.small} ${css.quiet}`}>
            <When at={event.at} /> · {event.actor}
            {event.device && without !== "device" && (
              <>
                {" · "}
                <Link to={deviceAt(event.device)}>{event.device}</Link>
              </>
            )}
            {event.rollout && without !== "rollout" && (
              <>
                {" · "}
                <Link to={rolloutAt(event.rollout)}>{event.rollout}</Link>
              </>
            )}
          </p>
          {event.data !== undefined && event.data !== null && (
            <details className={css.small}>
              <summary>details</summary>
              <pre className={css.pre}>{JSON.stringify(event.data, null, 2)}</pre>
            </details>
          )}
        </li>
      ))}
    </ol>
  );
}
