import { Button } from "@mantine/core";
import {
  IconAlertTriangle,
  IconBell,
  IconCircleCheck,
  IconUserQuestion,
} from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import type { Schemas } from "../api/client";
import * as queries from "../api/queries";
import { useMay } from "../session/SessionContext";
import { Bar } from "../ui/Bar";
import { Empty, Loading } from "../ui/Empty";
import { EventList } from "../ui/EventList";
import { Expiry } from "../ui/Expiry";
import { devicesAt, quoted, releaseAt, rolloutAt } from "../ui/links";
import { Card, Page } from "../ui/Page";
import { Problem } from "../ui/Problem";
import css from "../ui/ui.module.css";
import own from "./Overview.module.css";
import { RolloutRow } from "./rollouts/RolloutRow";

const reasons = {
  failed: "failed their last update",
  attacked: "say that they have seen an attack",
  silent: "have not been heard of for a week",
};

export function Overview() {
  const { data, error, refetch } = useQuery(queries.overview);
  const may = useMay();
  if (error && !data) {
    return (
      <Page title="Overview">
        <Problem error={error} retry={refetch} />
      </Page>
    );
  }
  if (!data) {
    return (
      <Page title="Overview">
        <Loading />
      </Page>
    );
  }
  return (
    <Page
      title="Overview"
      actions={
        may("operate") && (
          <Button component={Link} to="/new-rollout">
            New rollout
          </Button>
        )
      }
    >
      <div className={own.columns}>
        <div className={css.page}>
          <Fleet overview={data} />
          <ActiveRollouts overview={data} />
          <Versions overview={data} />
        </div>
        <div className={css.page}>
          <NeedsAttention overview={data} />
          <Metadata />
          <Recent />
        </div>
      </div>
    </Page>
  );
}

function Fleet({ overview }: { overview: Schemas["Overview"] }) {
  return (
    <Card title="Fleet" aside={<Link to="/devices">all devices</Link>}>
      {overview.devices === 0 ? (
        <Empty
          title="No devices yet"
          command="updraft-server credentials --out credentials.zip --url https://THIS-SERVER"
        >
          Give devices a credentials file; with it they register themselves when they start.
        </Empty>
      ) : (
        <>
          <p>
            <span className={css.number}>{overview.devices.toLocaleString("en")}</span>{" "}
            {overview.devices === 1 ? "device" : "devices"}
          </p>
          <Bar
            parts={overview.states.map(({ state, devices }) => ({
              state,
              count: devices,
              link: (content) => <Link to={devicesAt(`state==${state}`)}>{content}</Link>,
            }))}
          />
        </>
      )}
    </Card>
  );
}

function NeedsAttention({ overview }: { overview: Schemas["Overview"] }) {
  const alerts = useQuery(queries.openAlerts).data?.items ?? [];
  const critical = alerts.filter(({ severity }) => severity === "critical").length;
  const waiting = useQuery(queries.approvals).data ?? [];
  const some = overview.attention.filter(({ devices }) => devices > 0);
  return (
    <Card title="Needs attention">
      {some.length + alerts.length + waiting.length === 0 ? (
        <p className={css.state}>
          <IconCircleCheck size={18} className={css.good} aria-hidden /> Nothing
        </p>
      ) : (
        <ul className={css.list}>
          {alerts.length > 0 && (
            <li className={own.attention}>
              <IconBell size={18} className={critical > 0 ? css.bad : css.warn} aria-hidden />
              <Link to="/alerts">
                <b>{alerts.length.toLocaleString("en")}</b>{" "}
                {alerts.length === 1 ? "open alert" : "open alerts"}
              </Link>
              {critical > 0 && `(${critical.toLocaleString("en")} critical)`}
            </li>
          )}
          {waiting.map(({ name }) => (
            <li key={name} className={own.attention}>
              <IconUserQuestion size={18} className={css.warn} aria-hidden />
              <Link to={rolloutAt(name)}>{name}</Link> waits for an approval
            </li>
          ))}
          {some.map(({ reason, devices, filter }) => (
            <li key={reason} className={own.attention}>
              <IconAlertTriangle size={18} className={css.bad} aria-hidden />
              <Link to={devicesAt(filter)}>
                <b>{devices.toLocaleString("en")}</b> {devices === 1 ? "device" : "devices"}
              </Link>{" "}
              {reasons[reason]}
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function Versions({ overview }: { overview: Schemas["Overview"] }) {
  const most = Math.max(1, ...overview.versions.map(({ devices }) => devices));
  return (
    <Card title="What runs" aside={<Link to="/releases">releases</Link>}>
      {overview.versions.length === 0 ? (
        <p className={css.quiet}>Nothing has been reported.</p>
      ) : (
        <ul className={own.versions}>
          {overview.versions.map(({ release, version, image, devices }) => (
            <li key={`${image}${release}`}>
              <span className={own.versionName}>
                {release ? (
                  <Link to={releaseAt(release)}>{release}</Link>
                ) : (
                  <span className={css.quiet}>
                    {!image ? "nothing reported" : image === "unknown" ? "no release" : image}
                  </span>
                )}
                {version && version !== release && <span className={css.quiet}> {version}</span>}
              </span>
              <span className={own.track} aria-hidden>
                <span style={{ width: `${(100 * devices) / most}%` }} />
              </span>
              {release ? (
                <Link
                  to={devicesAt(`release==${quoted(release)}`)}
                  aria-label={`${devices} devices on ${release}`}
                >
                  {devices.toLocaleString("en")}
                </Link>
              ) : (
                <span>{devices.toLocaleString("en")}</span>
              )}
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}

function ActiveRollouts({ overview }: { overview: Schemas["Overview"] }) {
  return (
    <Card title="Active rollouts" aside={<Link to="/rollouts">all rollouts</Link>}>
      {overview.rollouts.length === 0 ? (
        <p className={css.quiet}>None is running.</p>
      ) : (
        <ul className={css.list}>
          {overview.rollouts.map((rollout) => (
            <RolloutRow key={rollout.name} rollout={rollout} />
          ))}
        </ul>
      )}
    </Card>
  );
}

function Metadata() {
  const { data } = useQuery(queries.status);
  const image = data?.image_repository;
  return (
    <Card title="Signed metadata" aside={<Link to="/keys">keys</Link>}>
      {data && !image && (
        <Empty title="The Image repository has no root" command="updraft keys init">
          Nothing can be released before its keys are made and its root is signed.
        </Empty>
      )}
      {data && image && (
        <dl className={css.facts}>
          <dt>Image root</dt>
          <dd>
            <Expiry at={image.root_expires} />
          </dd>
          {image.targets_expire && (
            <>
              <dt>Image targets</dt>
              <dd>
                <Expiry at={image.targets_expire} />
              </dd>
            </>
          )}
          <dt>Director root</dt>
          <dd>
            <Expiry at={data.director_repository.root_expires} />
          </dd>
        </dl>
      )}
    </Card>
  );
}

function Recent() {
  const { data } = useQuery(queries.newestEvents({}, 8));
  return (
    <Card title="What happened" aside={<Link to="/events">all events</Link>}>
      {data && <EventList events={data.items} />}
    </Card>
  );
}
