import { useQuery } from "@tanstack/react-query";
import { lazy, Suspense } from "react";
import { Link, useParams } from "react-router";
import type { Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { Copy } from "../../ui/Command";
import { Loading } from "../../ui/Empty";
import { Installed } from "../../ui/Installed";
import { devicesAt, quoted, releaseAt, rolloutAt } from "../../ui/links";
import { Card, Page } from "../../ui/Page";
import { Problem } from "../../ui/Problem";
import { Scroll } from "../../ui/Scroll";
import { State } from "../../ui/State";
import css from "../../ui/ui.module.css";
import { When } from "../../ui/When";
import { Alerts } from "./Alerts";
import { Configuration } from "./Configuration";
import { DeviceActions } from "./DeviceActions";
import { History } from "./History";
import { Logs } from "./Logs";
import { Slots } from "./Slots";

/** Charts are large, and not on every page. */
const Metrics = lazy(() => import("./metrics/Metrics"));

export default function Device() {
  const { id = "" } = useParams();
  const { data, error, refetch } = useQuery(queries.device(id));
  return (
    <Page
      title={id}
      about={data && <State of={data.state} />}
      actions={data && <DeviceActions device={data} />}
    >
      {error && !data && <Problem error={error} retry={refetch} />}
      {!data && !error && <Loading />}
      {data && (
        <div className={css.grid}>
          <Identity device={data} />
          <Work device={data} />
          <Alerts id={id} />
          <Components device={data} />
          {data.slots && <Slots slots={data.slots} />}
          <Suspense fallback={<Loading />}>
            <Metrics id={id} />
          </Suspense>
          <History id={id} />
          <Logs id={id} />
          <Card title="What it says of itself">
            <Document title="Hardware" value={data.system_info} />
            <Document title="Network" value={data.network} />
            <Configuration id={id} />
            {!data.system_info && !data.network && (
              <p className={css.quiet}>It has sent no description of itself.</p>
            )}
          </Card>
        </div>
      )}
    </Page>
  );
}

function Identity({ device }: { device: Schemas["Device"] }) {
  return (
    <Card title="Identity">
      <dl className={css.facts}>
        <dt>Id</dt>
        <dd className={css.row}>
          {device.id} <Copy value={device.id} what="the id" />
        </dd>
        <dt>Last seen</dt>
        <dd>
          <When at={device.last_seen} />
        </dd>
        <dt>Registered</dt>
        <dd>
          <When at={device.registered_at} />
        </dd>
        <dt>Groups</dt>
        <dd>
          {device.groups.length === 0
            ? "none"
            : device.groups.map((group, index) => (
                <span key={group}>
                  {index > 0 && ", "}
                  <Link to={devicesAt(`group==${quoted(group)}`)}>{group}</Link>
                </span>
              ))}
        </dd>
        {device.pinned && (
          <>
            <dt>Pinned</dt>
            <dd>
              by {device.pinned.by}, <When at={device.pinned.at} />
              {device.pinned.reason && `: ${device.pinned.reason}`}
            </dd>
          </>
        )}
      </dl>
    </Card>
  );
}

function Work({ device }: { device: Schemas["Device"] }) {
  const { assignment, last_report: report } = device;
  return (
    <Card title="Update">
      <dl className={css.facts}>
        <dt>Assigned</dt>
        <dd>
          {assignment ? (
            <>
              <Link to={releaseAt(assignment.release)}>{assignment.release}</Link> by{" "}
              <Link to={rolloutAt(assignment.rollout)}>{assignment.rollout}</Link>,{" "}
              <When at={assignment.assigned_at} />
            </>
          ) : (
            "nothing to do"
          )}
        </dd>
        {assignment && (
          <>
            <dt>Fetched</dt>
            <dd>
              <When at={assignment.started_at} none="not yet" />
            </dd>
          </>
        )}
        <dt>Last report</dt>
        <dd>
          {report ? (
            <>
              <State of={report.success ? "succeeded" : "failed"} />{" "}
              <span className={css.quiet}>
                <code>{report.code}</code>, <When at={report.received_at} />
              </span>
              {report.description && <p className={css.pre}>{report.description}</p>}
            </>
          ) : (
            "none yet"
          )}
        </dd>
      </dl>
    </Card>
  );
}

function Components({ device }: { device: Schemas["Device"] }) {
  return (
    <Card title="Components" wide>
      {device.components.length === 0 ? (
        <p className={css.quiet}>
          It has not named its components yet. It does so when its agent runs for the first time.
        </p>
      ) : (
        <Scroll label="Components">
          <table className={css.table}>
            <thead>
              <tr>
                <th scope="col">Serial</th>
                <th scope="col">Hardware</th>
                <th scope="col">Runs</th>
                <th scope="col">Image</th>
                <th scope="col">Key</th>
              </tr>
            </thead>
            <tbody>
              {device.components.map((component) => (
                <tr key={component.serial}>
                  <td className={css.name}>
                    {component.serial}
                    {component.primary && <span className={css.quiet}> (primary)</span>}
                    {component.attacks_detected && (
                      <p className={css.bad}>Attack seen: {component.attacks_detected}</p>
                    )}
                  </td>
                  <td>{component.hardware_id}</td>
                  <td>
                    <Installed image={component.installed} />
                  </td>
                  <td>
                    <code title={component.installed?.sha256}>
                      {component.installed?.sha256.slice(0, 12)}
                    </code>
                  </td>
                  <td>
                    <code title={component.key_id}>{component.key_id.slice(0, 12)}</code>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </Card>
  );
}

function Document({ title, value }: { title: string; value: unknown }) {
  if (value === undefined || value === null) return null;
  return (
    <details>
      <summary>{title}</summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
      <pre className={css.pre} tabIndex={0}>
        {JSON.stringify(value, null, 2)}
      </pre>
    </details>
  );
}
