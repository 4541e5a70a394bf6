import { useQuery } from "@tanstack/react-query";
import * as queries from "../../api/queries";
import { useMay } from "../../session/SessionContext";
import { Empty, Loading } from "../../ui/Empty";
import { Card, Page } from "../../ui/Page";
import { Problem } from "../../ui/Problem";
import { Scroll } from "../../ui/Scroll";
import { TokenTable } from "../../ui/TokenTable";
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
          <Scroll label="Users">
            <table className={css.table}>
              <thead>
                <tr>
                  <th scope="col">Name</th>
                  <th scope="col">Roles</th>
                  <th scope="col">One-time codes</th>
                  <th scope="col">Made</th>
                  <th scope="col">Actions</th>
                </tr>
              </thead>
              <tbody>
                {users.data.items.map((user) => (
                  <tr key={user.name}>
                    <td>
                      <b>{user.name}</b>
                      {user.disabled_at && (
                        <div className={css.warn}>
                          disabled <When at={user.disabled_at} />
                        </div>
                      )}
                    </td>
                    <td>{user.roles.join(", ")}</td>
                    <td>
                      {user.one_time_codes
                        ? `yes, ${user.recovery_codes} recovery codes left`
                        : "no"}
                    </td>
                    <td>
                      <When at={user.created_at} />
                    </td>
                    <td>
                      <UserActions user={user} />
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
        )}
      </Card>
      <Card title="API tokens">
        <p className={css.quiet}>
          Users make their own under their name in the menu; those of the server are made on it, by{" "}
          <code>updraft-server token create</code>.
        </p>
        {tokens.error && !tokens.data && <Problem error={tokens.error} retry={tokens.refetch} />}
        {tokens.isPending && <Loading />}
        {tokens.data && <TokenTable tokens={tokens.data} withOwner />}
      </Card>
    </Page>
  );
}
