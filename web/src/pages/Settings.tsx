import { SegmentedControl, Switch, useMantineColorScheme } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import * as queries from "../api/queries";
import { shortcuts, shortcutsOn } from "../app/shortcuts";
import { useStored } from "../app/stored";
import { useSession } from "../session/SessionContext";
import { Card, Page } from "../ui/Page";
import css from "../ui/ui.module.css";
import { When } from "../ui/When";

export default function Settings() {
  const session = useSession();
  const status = useQuery(queries.status);
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const [on, setOn] = useStored(shortcutsOn);
  return (
    <Page title="Settings">
      <div className={css.grid}>
        <Card title="You">
          <dl className={css.facts}>
            <dt>{session.kind === "user" ? "User" : "Token"}</dt>
            <dd>
              {session.kind === "user" ? <Link to="/account">{session.name}</Link> : session.name}
            </dd>
            <dt>May</dt>
            <dd>{session.scopes.join(", ")}</dd>
            {session.expiresAt && (
              <>
                <dt>Session ends</dt>
                <dd>
                  <When at={session.expiresAt} />
                </dd>
              </>
            )}
          </dl>
        </Card>
        <Card title="Colours">
          <SegmentedControl
            aria-label="Colours"
            value={colorScheme}
            onChange={(next) => setColorScheme(next as typeof colorScheme)}
            data={[
              { value: "auto", label: "As the system" },
              { value: "light", label: "Light" },
              { value: "dark", label: "Dark" },
            ]}
          />
        </Card>
        <Card title="Keys of the keyboard">
          <div className={css.stack}>
            <Switch
              label="Go places by single keys"
              checked={on}
              onChange={(event) => setOn(event.currentTarget.checked)}
            />
            <dl className={css.facts}>
              {shortcuts.map(({ keys, does }) => (
                <div key={keys} style={{ display: "contents" }}>
                  <dt>
                    <kbd>{keys}</kbd>
                  </dt>
                  <dd>{does}</dd>
                </div>
              ))}
            </dl>
          </div>
        </Card>
        <Card title="Server">
          {status.data && (
            <dl className={css.facts}>
              <dt>Version</dt>
              <dd>{status.data.version}</dd>
              <dt>Started</dt>
              <dd>
                <When at={status.data.started_at} />
              </dd>
              <dt>Interface</dt>
              <dd>
                <a href="/api/v1/openapi.json">OpenAPI description</a>
              </dd>
            </dl>
          )}
        </Card>
      </div>
    </Page>
  );
}
