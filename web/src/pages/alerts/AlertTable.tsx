import { Button } from "@mantine/core";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { Link } from "react-router";
import { api, body, type Schemas } from "../../api/client";
import { useMay } from "../../session/SessionContext";
import { deviceAt } from "../../ui/links";
import { Problem } from "../../ui/Problem";
import { Scroll } from "../../ui/Scroll";
import { State } from "../../ui/State";
import css from "../../ui/ui.module.css";
import { When } from "../../ui/When";

/** Alerts, each with what is the matter and whether somebody knows of it. */
export function AlertTable({
  alerts,
  without,
}: {
  alerts: Schemas["Alert"][];
  /** What the page is about, and need not be said again. */
  without?: "device";
}) {
  return (
    <Scroll label="Alerts">
      <table className={css.table}>
        <thead>
          <tr>
            <th scope="col">Severity</th>
            {!without && <th scope="col">Device</th>}
            <th scope="col">What is the matter</th>
            <th scope="col">Raised</th>
            <th scope="col">State</th>
          </tr>
        </thead>
        <tbody>
          {alerts.map((alert) => (
            <tr key={alert.id}>
              <td>
                <State of={alert.severity} />
              </td>
              {!without && (
                <td className={css.name}>
                  <Link to={deviceAt(alert.device)}>{alert.device}</Link>
                </td>
              )}
              <td className={css.name}>
                {alert.message}
                <div className={`${css.small} ${css.quiet}`}>rule {alert.rule}</div>
              </td>
              <td>
                <When at={alert.fired_at} />
              </td>
              <td>
                <Standing alert={alert} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function Standing({ alert }: { alert: Schemas["Alert"] }) {
  const may = useMay();
  const client = useQueryClient();
  const acknowledge = useMutation({
    mutationFn: () =>
      body(api.POST("/api/v1/alerts/{id}/acknowledge", { params: { path: { id: alert.id } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: ["alerts"] }),
  });
  const known = alert.acknowledged_by && (
    <div className={`${css.small} ${css.quiet}`}>
      known to {alert.acknowledged_by}, <When at={alert.acknowledged_at} />
    </div>
  );
  if (alert.resolved_at) {
    return (
      <>
        over <When at={alert.resolved_at} />
        {known}
      </>
    );
  }
  if (known) return <>open{known}</>;
  return (
    <>
      {may("operate") ? (
        <Button
          size="xs"
          variant="default"
          loading={acknowledge.isPending}
          aria-label={`Acknowledge ${alert.rule} of ${alert.device}`}
          onClick={() => acknowledge.mutate()}
        >
          Acknowledge
        </Button>
      ) : (
        "open"
      )}
      {acknowledge.error && <Problem error={acknowledge.error} />}
    </>
  );
}
