import { Link } from "react-router";
import { State } from "../../ui/State";
import css from "../../ui/ui.module.css";
import { When } from "../../ui/When";
import type { Entry } from "./reading";

/** Entries of the audit log; the rest of each is there when somebody asks. */
export function Entries({
  entries,
  onlyFrom,
}: {
  entries: Entry[];
  /** The address with what one actor did alone. */
  onlyFrom: (actor: string) => string;
}) {
  return (
    <ol className={css.list} aria-label="Entries">
      {entries.map((entry) => (
        <li key={entry.number} className={css.entry}>
          <div>
            <b>{entry.action}</b>
            {entry.details.map((detail) => (
              <p key={detail}>{detail}</p>
            ))}
            <p className={`${css.small} ${css.quiet}`}>
              {entry.number} · <When at={entry.at} /> ·{" "}
              <Link to={onlyFrom(entry.actor)}>{entry.actor}</Link>
            </p>
            <More entry={entry} />
          </div>
          <State of={entry.outcome} />
        </li>
      ))}
    </ol>
  );
}

function More({ entry }: { entry: Entry }) {
  return (
    <details className={css.small}>
      <summary>more</summary>
      <dl className={css.facts}>
        <dt>To what</dt>
        <dd>
          <code>{entry.object}</code>
        </dd>
        <dt>Recognised by</dt>
        <dd>{entry.credential}</dd>
        <dt>From</dt>
        <dd>{entry.address ?? "this machine"}</dd>
        <dt>At</dt>
        <dd>{entry.at}</dd>
        <dt>Request</dt>
        <dd>
          <code>{entry.request_id}</code>
        </dd>
        <dt>Hash</dt>
        <dd>
          <code>{entry.hash}</code>
        </dd>
      </dl>
    </details>
  );
}
