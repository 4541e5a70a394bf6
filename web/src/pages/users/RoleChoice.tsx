import { Checkbox } from "@mantine/core";
import { coversRoles, type Role, roleNames, roles } from "../../session/roles";
import { useSession } from "../../session/SessionContext";
import css from "../../ui/ui.module.css";

/** Roles to choose from: no more than whoever chooses may do. */
export function RoleChoice({
  value,
  onChange,
}: {
  value: Role[];
  onChange: (roles: Role[]) => void;
}) {
  const { scopes } = useSession();
  return (
    <Checkbox.Group
      label="Roles"
      description="At least one; who has several may do what any of them may"
      value={value}
      onChange={(chosen) => onChange(chosen as Role[])}
      required
    >
      <div className={css.stack} style={{ marginTop: "0.5rem" }}>
        {roleNames
          .filter((role) => coversRoles(scopes, [role]))
          .map((role) => (
            <Checkbox key={role} value={role} label={role} description={roles[role].about} />
          ))}
      </div>
    </Checkbox.Group>
  );
}
