import { Button } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Fragment } from "react";
import { Link, useParams } from "react-router";
import type { Schemas } from "../api/client";
import * as queries from "../api/queries";
import { useMay } from "../session/SessionContext";
import { Copy } from "../ui/Command";
import { Loading } from "../ui/Empty";
import { devicesAt, quoted, releaseAt } from "../ui/links";
import { Card, Page } from "../ui/Page";
import { Problem } from "../ui/Problem";
import { bytes } from "../ui/time";
import css from "../ui/ui.module.css";
import { When } from "../ui/When";
import { RolloutRow } from "./rollouts/RolloutRow";

export default function Release() {
  const { name = "" } = useParams();
  const { data, error, refetch } = useQuery(queries.release(name));
  const running = useQuery(queries.devices({ filter: `release==${quoted(name)}`, limit: 1 }));
  const rollouts = useQuery(queries.rollouts);
  const may = useMay();
  const own = (rollouts.data?.items ?? []).filter((rollout) => rollout.release === name);
  return (
    <Page
      title={name}
      about={
        data && (
          <>
            made <When at={data.created_at} />
          </>
        )
      }
      actions={
        may("operate") && (
          <Button component={Link} to={`/new-rollout?release=${encodeURIComponent(name)}`}>
            Roll out
          </Button>
        )
      }
    >
      {error && !data && <Problem error={error} retry={refetch} />}
      {!data && !error && <Loading />}
      {data && (
        <div className={css.grid}>
          <Card title="Notes">
            {data.notes ? (
              <p style={{ whiteSpace: "pre-wrap", margin: 0 }}>{data.notes}</p>
            ) : (
              <p className={css.quiet}>It was made without notes.</p>
            )}
          </Card>
          <Card title="Devices">
            <p>
              <Link to={devicesAt(`release==${quoted(name)}`)}>
                <span className={css.number}>
                  {running.data?.total.toLocaleString("en") ?? "…"}
                </span>{" "}
                run it
              </Link>
            </p>
            {data.requires && (
              <p>
                A device must have run <Link to={releaseAt(data.requires)}>{data.requires}</Link>{" "}
                before: rollouts bring it there first.
              </p>
            )}
          </Card>
          <Card title="Targets" wide>
            <ul className={css.list}>
              {data.targets.map((target) => (
                <li key={target.filepath} style={{ padding: "0.6rem 0" }}>
                  <b>{target.filepath}</b>
                  <dl className={css.facts}>
                    <dt>Version</dt>
                    <dd>{target.version}</dd>
                    <dt>For</dt>
                    <dd>{target.hardware_ids.join(", ")}</dd>
                    <dt>{target.format === "OSTREE" ? "Commit" : "SHA-256"}</dt>
                    <dd className={css.row}>
                      <code>{target.sha256}</code> <Copy value={target.sha256} what="the digest" />
                    </dd>
                    <dt>Form</dt>
                    <dd>
                      {target.format === "OSTREE"
                        ? "OSTree commit"
                        : `file, ${bytes(target.length ?? 0)}`}
                    </dd>
                    {payloads(data, target.filepath).map((payload) => (
                      <Payload key={payload.target} payload={payload} />
                    ))}
                  </dl>
                </li>
              ))}
            </ul>
          </Card>
          <Card title="Rollouts" wide>
            {own.length === 0 ? (
              <p className={css.quiet}>It has not been rolled out.</p>
            ) : (
              <ul className={css.list}>
                {own.map((rollout) => (
                  <RolloutRow key={rollout.name} rollout={rollout} />
                ))}
              </ul>
            )}
          </Card>
        </div>
      )}
    </Page>
  );
}

function payloads(release: Schemas["Release"], target: string) {
  return (release.payloads ?? []).filter((payload) => payload.target === target);
}

function Payload({ payload }: { payload: Schemas["ReleasePayload"] }) {
  const deltas = payload.deltas ?? [];
  return (
    <>
      <dt>Payload</dt>
      <dd>
        {payload.partitions.map((one) => one.name).join(", ")}, {bytes(payload.size)}
      </dd>
      {deltas.map((delta) => (
        <Fragment key={delta.target}>
          <dt>Delta</dt>
          <dd>
            {delta.target}, {bytes(delta.size)}
          </dd>
        </Fragment>
      ))}
    </>
  );
}
