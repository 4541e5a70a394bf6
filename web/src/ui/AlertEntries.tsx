import { Button } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "react-router";
import { api, body, type Schemas } from "../api/client";
import { useMay } from "../session/SessionContext";
import { deviceAt } from "./links";
import { Problem } from "./Problem";
import { State } from "./State";
import css from "./ui.module.css";
import { When } from "./When";

/** Alerts, each with what is the matter and whether somebody knows of it. */
export function AlertEntries({
  alerts,
  without,
}: {
  alerts: Schemas["Alert"][];
  /** What the page is about, and need not be said again. */
  without?: "device";
}) {
  return (
    <ul className={css.list}>
      {alerts.map((alert) => (
        <li key={alert.id} className={css.entry}>
          <div>
            <div className={css.row}>
              <State of={alert.severity} />
              {!without && <Link to={deviceAt(alert.device)}>{alert.device}</Link>}
            </div>
            <p>{alert.message}</p>
            <p className={`${css.small} ${css.quiet}`}>
              rule {alert.rule} · raised <When at={alert.fired_at} />
              {alert.resolved_at && (
                <>
                  {" · over "}
                  <When at={alert.resolved_at} />
                </>
              )}
              {alert.acknowledged_by && (
                <>
                  {` · known to ${alert.acknowledged_by}, `}
                  <When at={alert.acknowledged_at} />
                </>
              )}
            </p>
          </div>
          {!alert.resolved_at && !alert.acknowledged_by && <Acknowledge alert={alert} />}
        </li>
      ))}
    </ul>
  );
}

function Acknowledge({ alert }: { alert: Schemas["Alert"] }) {
  const may = useMay();
  const client = useQueryClient();
  const acknowledge = useMutation({
    mutationFn: () =>
      body(api.POST("/api/v1/alerts/{id}/acknowledge", { params: { path: { id: alert.id } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: ["alerts"] }),
  });
  if (!may("operate")) return null;
  return (
    <>
      <Button
        size="xs"
        variant="default"
        loading={acknowledge.isPending}
        aria-label={`Acknowledge ${alert.rule} of ${alert.device}`}
        onClick={() => acknowledge.mutate()}
      >
        Acknowledge
      </Button>
      {acknowledge.error && <Problem error={acknowledge.error} />}
    </>
  );
}
