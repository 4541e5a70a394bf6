import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { api, body, type Schemas } from "../../api/client";
import { coversRoles, type Role } from "../../session/roles";
import { useSession } from "../../session/SessionContext";
import { Confirm } from "../../ui/Confirm";
import { FormDialog } from "../../ui/FormDialog";
import { NewPassword } from "../../ui/NewPassword";
import css from "../../ui/ui.module.css";
import { RoleChoice } from "./RoleChoice";

/** What can be done with an account, for those who may do all that it may. */
export function UserActions({ user }: { user: Schemas["User"] }) {
  const session = useSession();
  const client = useQueryClient();
  const [roles, setRoles] = useState<Role[]>(user.roles);
  const [password, setPassword] = useState("");
  const params = { path: { name: user.name } };
  const done = () => {
    for (const queryKey of [["users"], ["tokens"]]) client.invalidateQueries({ queryKey });
  };
  if (session.kind === "user" && session.name === user.name) {
    return <Link to="/account">Your account</Link>;
  }
  if (!coversRoles(session.scopes, user.roles)) {
    return <span className={css.quiet}>may do more than you</span>;
  }
  const disable = (disabled: boolean) =>
    body(api.PATCH("/api/v1/users/{name}", { params, body: { disabled } }));
  return (
    <div className={css.row}>
      <FormDialog
        label="Roles"
        title={`Roles of ${user.name}`}
        submit="Change the roles"
        variant="default"
        lacks={roles.length === 0 ? "Choose a role." : null}
        reset={() => setRoles(user.roles)}
        action={() => body(api.PATCH("/api/v1/users/{name}", { params, body: { roles } }))}
        done={done}
      >
        <RoleChoice value={roles} onChange={setRoles} />
      </FormDialog>
      <FormDialog
        label="Password"
        title={`New password of ${user.name}`}
        submit="Change the password"
        variant="default"
        reset={() => setPassword("")}
        action={() => api.PUT("/api/v1/users/{name}/password", { params, body: { new: password } })}
        done={done}
      >
        <p className={css.note}>
          The account's sessions end. Tell {user.name} the new password in a safe way, to be changed
          at once.
        </p>
        <NewPassword value={password} onChange={setPassword} />
      </FormDialog>
      {user.one_time_codes && (
        <Confirm
          label="Codes off"
          title={`Ask ${user.name} for no one-time codes?`}
          danger
          action={() => api.DELETE("/api/v1/users/{name}/one-time-codes", { params })}
          done={done}
        >
          For somebody who has lost the authenticator and the recovery codes. The password alone is
          enough then, until they are set up again.
        </Confirm>
      )}
      {user.disabled_at ? (
        <Confirm
          label="Enable"
          title={`Let ${user.name} log in again?`}
          action={() => disable(false)}
          done={done}
        >
          With the same roles, password and tokens as before.
        </Confirm>
      ) : (
        <Confirm
          label="Disable"
          title={`Disable ${user.name}?`}
          danger
          action={() => disable(true)}
          done={done}
        >
          Sessions end, and tokens are refused, until the account is enabled again.
        </Confirm>
      )}
      <Confirm
        label="Delete"
        title={`Delete the user ${user.name}?`}
        danger
        type={user.name}
        action={() => api.DELETE("/api/v1/users/{name}", { params })}
        done={done}
      >
        The account goes with its sessions and tokens. What it did stays in the events and the audit
        log.
      </Confirm>
    </div>
  );
}
