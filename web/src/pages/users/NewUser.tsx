import { TextInput } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, body } from "../../api/client";
import type { Role } from "../../session/roles";
import { FormDialog } from "../../ui/FormDialog";
import { NewPassword } from "../../ui/NewPassword";
import { namePattern, nameRule } from "../../ui/names";
import { RoleChoice } from "./RoleChoice";

export function NewUser({ taken }: { taken: string[] }) {
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [roles, setRoles] = useState<Role[]>([]);
  const isTaken = taken.includes(name);
  const lacks = isTaken
    ? `There is a user ${name} already.`
    : roles.length === 0
      ? "Choose a role."
      : null;
  return (
    <FormDialog
      label="New user"
      title="New user"
      submit="Make the user"
      lacks={lacks}
      reset={() => {
        setName("");
        setPassword("");
        setRoles(["viewer"]);
      }}
      action={() => body(api.POST("/api/v1/users", { body: { name, password, roles } }))}
      done={() => client.invalidateQueries({ queryKey: ["users"] })}
    >
      <TextInput
        label="Name"
        description={nameRule}
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        pattern={namePattern}
        title={nameRule}
        error={isTaken}
        autoComplete="off"
        required
        data-autofocus
      />
      <NewPassword value={password} onChange={setPassword} />
      <RoleChoice value={roles} onChange={setRoles} />
    </FormDialog>
  );
}
