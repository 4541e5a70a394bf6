import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import * as queries from "../../api/queries";
import { AlertEntries } from "../../ui/AlertEntries";
import { Card } from "../../ui/Page";

const SHOWN = 5;

/** A device's alerts: all that are open, and the last ones that are over. */
export function Alerts({ id }: { id: string }) {
  const { data } = useQuery(queries.deviceAlerts(id));
  const open = data?.items.filter(({ resolved_at }) => !resolved_at) ?? [];
  const past = data?.items.filter(({ resolved_at }) => resolved_at) ?? [];
  if (open.length + past.length === 0) return null;
  return (
    <Card title="Alerts" aside={<Link to="/alerts">all alerts</Link>} wide>
      <AlertEntries alerts={[...open, ...past.slice(0, SHOWN)]} without="device" />
    </Card>
  );
}
