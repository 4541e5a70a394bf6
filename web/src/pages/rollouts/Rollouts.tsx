import { Button, SegmentedControl } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link, useSearchParams } from "react-router";
import * as queries from "../../api/queries";
import { useMay } from "../../session/SessionContext";
import { Empty, Loading } from "../../ui/Empty";
import { Card, Page } from "../../ui/Page";
import { Problem } from "../../ui/Problem";
import css from "../../ui/ui.module.css";
import { Freezes } from "./Freezes";
import { RolloutRow } from "./RolloutRow";

export default function Rollouts() {
  const { data, error, refetch } = useQuery(queries.rollouts);
  const [search, setSearch] = useSearchParams();
  const may = useMay();
  const show = search.get("show") ?? "all";
  const items = (data?.items ?? []).filter(
    ({ ended_at }) => show === "all" || (show === "active") === !ended_at,
  );
  return (
    <Page
      title="Rollouts"
      about="Releases on their way to devices"
      actions={
        may("operate") && (
          <Button component={Link} to="/new-rollout">
            New rollout
          </Button>
        )
      }
    >
      {error && !data && <Problem error={error} retry={refetch} />}
      {!data && !error && <Loading />}
      {data && data.items.length === 0 && (
        <Card>
          <Empty title="No rollouts yet" command="updraft rollout create NAME --release RELEASE">
            A rollout brings a release to devices, phase by phase, and stops by itself when too many
            of them fail.
          </Empty>
        </Card>
      )}
      {data && data.items.length > 0 && (
        <>
          <div>
            <SegmentedControl
              aria-label="Which rollouts"
              value={show}
              onChange={(next) =>
                setSearch(next === "all" ? {} : { show: next }, { replace: true })
              }
              data={[
                { value: "all", label: "All" },
                { value: "active", label: "Active" },
                { value: "ended", label: "Ended" },
              ]}
            />
          </div>
          <Card>
            {items.length === 0 ? (
              <p className={css.quiet}>None of them.</p>
            ) : (
              <ul className={css.list}>
                {items.map((rollout) => (
                  <RolloutRow key={rollout.name} rollout={rollout} />
                ))}
              </ul>
            )}
          </Card>
        </>
      )}
      <Freezes />
    </Page>
  );
}
