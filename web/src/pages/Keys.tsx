import { useQuery } from "@tanstack/react-query";
import { asProblem } from "../api/problem";
import * as queries from "../api/queries";
import { Command } from "../ui/Command";
import { Empty, Loading } from "../ui/Empty";
import { Expiry } from "../ui/Expiry";
import { Card, Page } from "../ui/Page";
import { Problem } from "../ui/Problem";
import { Scroll } from "../ui/Scroll";
import css from "../ui/ui.module.css";
import { type Role, readRoot } from "./metadata";

export default function Keys() {
  const status = useQuery(queries.status);
  const root = useQuery({ ...queries.imageRoot, retry: false });
  const online = useQuery(queries.onlineKeys);
  const roles = root.data ? readRoot(root.data) : undefined;
  const hasNoRoot = root.error && asProblem(root.error).status === 404;
  return (
    <Page title="Keys and metadata" about="Who may sign what, and until when devices believe it">
      {status.error && <Problem error={status.error} retry={() => status.refetch()} />}
      {status.isPending && <Loading />}
      {status.data && (
        <div className={css.grid}>
          <Card title="Image repository">
            {status.data.image_repository ? (
              <dl className={css.facts}>
                <dt>Root</dt>
                <dd>
                  version {status.data.image_repository.root_version}, expires{" "}
                  <Expiry at={status.data.image_repository.root_expires} />
                </dd>
                <dt>Targets</dt>
                <dd>
                  {status.data.image_repository.targets_expire ? (
                    <>
                      version {status.data.image_repository.targets_version}, expires{" "}
                      <Expiry at={status.data.image_repository.targets_expire} />
                    </>
                  ) : (
                    "none yet"
                  )}
                </dd>
                <dt>Snapshot, timestamp</dt>
                <dd>signed by this server, and renewed by itself</dd>
              </dl>
            ) : (
              <Empty title="It has no root yet" command="updraft keys init">
                The root says whose signatures count. Its keys are made where they stay: with you,
                not on this server.
              </Empty>
            )}
          </Card>
          <Card title="Director repository">
            <dl className={css.facts}>
              <dt>Root</dt>
              <dd>
                version {status.data.director_repository.root_version}, expires{" "}
                <Expiry at={status.data.director_repository.root_expires} />
              </dd>
              <dt>All its files</dt>
              <dd>signed by this server, one set for each device, and renewed by itself</dd>
            </dl>
          </Card>
          <Card title="Who signs images" wide>
            {root.error && !hasNoRoot && <Problem error={root.error} />}
            {!roles && <p className={css.quiet}>There is no root to say so.</p>}
            {roles && <Roles roles={roles} />}
          </Card>
          <Card title="Keys of this server" wide>
            {online.data && (
              <Roles
                roles={[
                  role("snapshot", online.data.snapshot),
                  role("timestamp", online.data.timestamp),
                ]}
              />
            )}
          </Card>
          <Card title="Before something expires" wide>
            <div className={css.stack}>
              <p style={{ margin: 0 }}>
                Devices refuse what has expired. Whoever holds the keys signs the root and the
                targets again:
              </p>
              <Command>updraft release renew --expires-days 365</Command>
              <Command>updraft keys rotate root --threshold 1</Command>
            </div>
          </Card>
        </div>
      )}
    </Page>
  );
}

function role(name: string, keys: { keyid: string; key?: unknown }[]): Role {
  return {
    name,
    threshold: 1,
    keys: keys.map(({ keyid, key }) => {
      const type = (key as { keytype?: unknown } | undefined)?.keytype;
      return { id: keyid, type: typeof type === "string" ? type : "" };
    }),
  };
}

function Roles({ roles }: { roles: Role[] }) {
  return (
    <Scroll label="Roles and their keys">
      <table className={css.table}>
        <thead>
          <tr>
            <th scope="col">Role</th>
            <th scope="col">Signatures needed</th>
            <th scope="col">Keys</th>
          </tr>
        </thead>
        <tbody>
          {roles.map(({ name, threshold, keys }) => (
            <tr key={name}>
              <td>{name}</td>
              <td>
                {threshold} of {keys.length}
              </td>
              <td>
                {keys.map(({ id, type }) => (
                  <div key={id}>
                    <code>{id}</code> <span className={css.quiet}>{type}</span>
                  </div>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
