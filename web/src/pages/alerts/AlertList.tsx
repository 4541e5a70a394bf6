import { Button, SegmentedControl } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { useSearchParams } from "react-router";
import { api, body, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { AlertEntries } from "../../ui/AlertEntries";
import { Empty, Loading } from "../../ui/Empty";
import { Card } from "../../ui/Page";
import { Problem } from "../../ui/Problem";
import css from "../../ui/ui.module.css";

/** Open ones are among them: so many parts of a thousand are read to come to enough that are over. */
const MOST_PARTS = 20;
const SHOWN = 100;

/** Alerts that are over, the newest first. */
async function pastAlerts(signal: AbortSignal) {
  const items: Schemas["Alert"][] = [];
  let after: string | undefined;
  for (let part = 0; part < MOST_PARTS; part += 1) {
    const query = { resolved: true, limit: 1000, after };
    const page = await body(api.GET("/api/v1/alerts", { params: { query }, signal }));
    items.push(...page.items.filter(({ resolved_at }) => resolved_at));
    after = page.next ?? undefined;
    if (!after) break;
  }
  items.sort((a, b) => (b.resolved_at ?? "").localeCompare(a.resolved_at ?? ""));
  return { items, isCut: after !== undefined };
}

/** Alerts that are open, or those that are over. */
export function AlertList() {
  const [search, setSearch] = useSearchParams();
  const show = search.get("show") === "past" ? "past" : "open";
  return (
    <>
      <div>
        <SegmentedControl
          aria-label="Which alerts"
          value={show}
          onChange={(next) => setSearch(next === "past" ? { show: next } : {}, { replace: true })}
          data={[
            { value: "open", label: "Open" },
            { value: "past", label: "Over" },
          ]}
        />
      </div>
      {show === "open" ? <Open /> : <Past />}
    </>
  );
}

function Open() {
  const { data, error, refetch } = useQuery(queries.openAlerts);
  const rules = useQuery(queries.alertRules);
  if (error && !data) return <Problem error={error} retry={refetch} />;
  if (!data) return <Loading />;
  if (data.items.length === 0) {
    return (
      <Card>
        {rules.data?.length === 0 ? (
          <Empty
            title="Nothing is watched yet"
            command="updraft alert add silent --silent 1h --severity critical"
          >
            A rule says when a device is worth an alert: too little memory, an hour of silence, a
            failed update. Make the first one under Rules, or with the command.
          </Empty>
        ) : (
          <Empty title="All is well">
            No rule finds anything. They are looked at every few seconds.
          </Empty>
        )}
      </Card>
    );
  }
  return (
    <Card>
      <AlertEntries alerts={data.items} />
      {data.next && <p>There are more; these are the newest thousand.</p>}
    </Card>
  );
}

function Past() {
  const [shown, setShown] = useState(SHOWN);
  const { data, error, refetch } = useQuery({
    queryKey: ["alerts", "past"],
    queryFn: ({ signal }) => pastAlerts(signal),
  });
  if (error && !data) return <Problem error={error} retry={refetch} />;
  if (!data) return <Loading />;
  return (
    <Card>
      {data.items.length === 0 && <p className={css.quiet}>No alert has ended yet.</p>}
      {data.items.length > 0 && <AlertEntries alerts={data.items.slice(0, shown)} />}
      {data.items.length > shown && (
        <Button variant="default" onClick={() => setShown(shown + SHOWN)}>
          Show older ones
        </Button>
      )}
      {data.isCut && (
        <p>
          There are so many that the oldest are not here; look for them among the events of kind
          “alert resolved”.
        </p>
      )}
    </Card>
  );
}
