import { useQuery } from "@tanstack/react-query";
import * as queries from "../../api/queries";
import { useMay } from "../../session/SessionContext";
import { Empty, Loading } from "../../ui/Empty";
import { Card, Page } from "../../ui/Page";
import { Problem } from "../../ui/Problem";
import { TokenList } from "../../ui/TokenList";
import css from "../../ui/ui.module.css";
import { When } from "../../ui/When";
import { NewUser } from "./NewUser";
import { UserActions } from "./UserActions";

export default function Users() {
  const may = useMay();
  const mayManage = may("users");
  const users = useQuery({ ...queries.users, enabled: mayManage });
  const tokens = useQuery({ ...queries.tokens, enabled: mayManage });
  if (!mayManage) {
    return (
      <Page title="Users and tokens">
        <Empty title="You do not manage accounts">
          That needs the scope <code>users</code>. Your own account and tokens are under your name
          in the menu.
        </Empty>
      </Page>
    );
  }
  const names = users.data?.items.map(({ name }) => name) ?? [];
  return (
    <Page
      title="Users and tokens"
      about="Who may log in, and which programs may ask"
      actions={<NewUser taken={names} />}
    >
      <Card title="Users">
        {users.error && !users.data && <Problem error={users.error} retry={users.refetch} />}
        {users.isPending && <Loading />}
        {users.data?.items.length === 0 && (
          <Empty title="No users yet" command="updraft-server user add anna --role admin">
            Give each person an account, with no more roles than they need. What they do stands in
            the audit log under their name.
          </Empty>
        )}
        {users.data && users.data.items.length > 0 && (
          <ul className={css.list} aria-label="Users">
            {users.data.items.map((user) => (
              <li key={user.name} className={css.entry}>
                <div>
                  <div className={css.row}>
                    <b>{user.name}</b>
                    {user.roles.join(", ")}
                    {user.disabled_at && (
                      <span className={css.warn}>
                        disabled <When at={user.disabled_at} />
                      </span>
                    )}
                  </div>
                  <p className={`${css.small} ${css.quiet}`}>
                    made <When at={user.created_at} /> ·{" "}
                    {user.one_time_codes
                      ? `one-time codes, ${user.recovery_codes} recovery codes left`
                      : "no one-time codes"}
                  </p>
                </div>
                <UserActions user={user} />
              </li>
            ))}
          </ul>
        )}
      </Card>
      <Card title="API tokens">
        <p className={css.quiet}>
          Users make their own under their name in the menu; those of the server are made on it, by{" "}
          <code>updraft-server token create</code>.
        </p>
        {tokens.error && !tokens.data && <Problem error={tokens.error} retry={tokens.refetch} />}
        {tokens.isPending && <Loading />}
        {tokens.data && <TokenList tokens={tokens.data} withOwner />}
      </Card>
    </Page>
  );
}
