import { Button, PasswordInput } from "@mantine/core";
import { useMutation, useQuery } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { api } from "../../api/client";
import * as queries from "../../api/queries";
import { useSession } from "../../session/SessionContext";
import { Empty, Loading } from "../../ui/Empty";
import { NewPassword } from "../../ui/NewPassword";
import { Card, Page } from "../../ui/Page";
import { Problem } from "../../ui/Problem";
import { TokenList } from "../../ui/TokenList";
import css from "../../ui/ui.module.css";
import { When } from "../../ui/When";
import { NewToken } from "./NewToken";
import { OneTimeCodes } from "./OneTimeCodes";
import { Sessions } from "./Sessions";

export default function Account() {
  const session = useSession();
  if (session.kind !== "user") {
    return (
      <Page title="Your account">
        <Empty title="You have logged in with a token">
          The token {session.name} is no account: it has no password and no tokens of its own. Log
          in as a user to change those.
        </Empty>
      </Page>
    );
  }
  return <Own name={session.name} />;
}

function Own({ name }: { name: string }) {
  const session = useSession();
  const user = useQuery(queries.user(name));
  const tokens = useQuery(queries.tokens);
  const own = tokens.data?.filter((token) => token.user === name);
  return (
    <Page title="Your account" about={name}>
      {user.error && !user.data && <Problem error={user.error} retry={user.refetch} />}
      {user.isPending && <Loading />}
      {user.data && (
        <div className={css.grid}>
          <Card title="You">
            <dl className={css.facts}>
              <dt>Roles</dt>
              <dd>{user.data.roles.join(", ")}</dd>
              <dt>You may</dt>
              <dd>{session.scopes.join(", ")}</dd>
              <dt>Made</dt>
              <dd>
                <When at={user.data.created_at} />
              </dd>
              <dt>This session</dt>
              <dd>
                ends <When at={session.expiresAt} none="when you log out" />, or after a while
                without requests
              </dd>
            </dl>
          </Card>
          <Card title="One-time codes">
            <OneTimeCodes user={user.data} />
          </Card>
          <Card title="Password">
            <Password name={name} />
          </Card>
          <Card title="Sessions">
            <Sessions name={name} />
          </Card>
          <Card
            title="API tokens"
            wide
            aside={<NewToken taken={(tokens.data ?? []).map(({ name }) => name)} />}
          >
            <p className={css.quiet}>
              For scripts and programs that act as you, each with no more than it needs. A token may
              never do more than you may at that moment.
            </p>
            {tokens.error && !own && <Problem error={tokens.error} retry={tokens.refetch} />}
            {own && <TokenList tokens={own} />}
          </Card>
        </div>
      )}
    </Page>
  );
}

function Password({ name }: { name: string }) {
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const change = useMutation({
    mutationFn: () =>
      api.PUT("/api/v1/users/{name}/password", {
        params: { path: { name } },
        body: { current, new: next },
      }),
    onSuccess: () => {
      setCurrent("");
      setNext("");
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    change.mutate();
  };
  return (
    <form className={css.stack} onSubmit={submit}>
      <p className={css.quiet}>
        A new password ends all of your other sessions: change it when one was left open somewhere.
      </p>
      {/* For password managers, which have to know whose it is. */}
      <input type="text" autoComplete="username" value={name} readOnly hidden />
      <PasswordInput
        label="Password until now"
        value={current}
        onChange={(event) => setCurrent(event.currentTarget.value)}
        autoComplete="current-password"
        required
        visibilityToggleButtonProps={{ "aria-label": "Show the password until now" }}
      />
      <NewPassword label="New password" value={next} onChange={setNext} />
      {change.error && <Problem error={change.error} />}
      {change.isSuccess && (
        <p role="status" className={css.good}>
          The password was changed; your other sessions have ended.
        </p>
      )}
      <div>
        <Button type="submit" loading={change.isPending}>
          Change the password
        </Button>
      </div>
    </form>
  );
}
