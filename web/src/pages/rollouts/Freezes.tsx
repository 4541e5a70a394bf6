import { IconTrash } from "@tabler/icons-react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { api, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { useMay } from "../../session/SessionContext";
import { Confirm } from "../../ui/Confirm";
import { Empty } from "../../ui/Empty";
import { Card } from "../../ui/Page";
import { Problem } from "../../ui/Problem";
import { State } from "../../ui/State";
import css from "../../ui/ui.module.css";
import { When } from "../../ui/When";
import { NewFreeze } from "./NewFreeze";

/** Times in which no rollout tells devices anything new. */
export function Freezes() {
  const { data, error, refetch } = useQuery(queries.freezes);
  const may = useMay()("operate");
  const client = useQueryClient();
  const refresh = () => client.invalidateQueries({ queryKey: ["freezes"] });
  return (
    <Card title="Freezes" aside={may && data && <NewFreeze freezes={data.items} done={refresh} />}>
      {error && !data && <Problem error={error} retry={refetch} />}
      {data?.items.length === 0 && (
        <Empty
          title="Nothing is frozen"
          command="updraft freeze set holidays --from 2026-12-24T00:00:00Z --until 2027-01-02T00:00:00Z"
        >
          In a freeze no rollout tells devices anything, all of them or those of some groups. What a
          device has fetched goes on, and rollbacks are not held up.
        </Empty>
      )}
      <ul className={css.list}>
        {data?.items.map((freeze) => (
          <li key={freeze.name} className={css.entry}>
            <Entry freeze={freeze} />
            {may && (
              <Confirm
                label={phaseOf(freeze) === "running" ? "End" : "Remove"}
                title={`${phaseOf(freeze) === "running" ? "End" : "Remove"} the freeze ${freeze.name}?`}
                danger
                icon={<IconTrash size={16} aria-hidden />}
                action={() =>
                  api.DELETE("/api/v1/freezes/{name}", { params: { path: { name: freeze.name } } })
                }
                done={refresh}
              >
                {phaseOf(freeze) === "running"
                  ? "Rollouts that run tell devices again what is due, at once."
                  : "It holds nothing up then."}
              </Confirm>
            )}
          </li>
        ))}
      </ul>
    </Card>
  );
}

function phaseOf({ starts_at, ends_at }: Schemas["Freeze"]): "scheduled" | "running" | "finished" {
  const now = Date.now();
  if (Date.parse(ends_at) <= now) return "finished";
  return Date.parse(starts_at) <= now ? "running" : "scheduled";
}

const labels = { scheduled: "to come", running: "in force", finished: "over" };

function Entry({ freeze }: { freeze: Schemas["Freeze"] }) {
  const phase = phaseOf(freeze);
  return (
    <div>
      <div className={css.row}>
        <b>{freeze.name}</b>
        <State of={phase === "running" ? "paused" : phase} label={labels[phase]} />
      </div>
      <p>
        {freeze.groups.length === 0 ? "every device" : `the groups ${freeze.groups.join(", ")}`},{" "}
        from <When at={freeze.starts_at} /> until <When at={freeze.ends_at} />
      </p>
      <p className={css.quiet}>
        {freeze.reason && `${freeze.reason} · `}by {freeze.created_by}
      </p>
    </div>
  );
}
