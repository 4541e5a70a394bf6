import { Checkbox, NumberInput, TextInput } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, body } from "../../api/client";
import type { Scope } from "../../session/login";
import { scopeNames, scopesInWords } from "../../session/roles";
import { useMay } from "../../session/SessionContext";
import { FormDialog } from "../../ui/FormDialog";
import { namePattern, nameRule } from "../../ui/names";
import { Once } from "../../ui/Once";
import css from "../../ui/ui.module.css";

const DAYS = 90;

/** Makes a token of one's own, and shows it once. */
export function NewToken({ taken }: { taken: string[] }) {
  const may = useMay();
  const client = useQueryClient();
  const [name, setName] = useState("");
  const [days, setDays] = useState(DAYS);
  const [scopes, setScopes] = useState<Scope[]>([]);
  const [secret, setSecret] = useState<string>();
  const isTaken = taken.includes(name);
  const lacks = isTaken
    ? `There is a token ${name} already: choose another name.`
    : scopes.length === 0
      ? "Choose what it may do."
      : null;
  return (
    <>
      <FormDialog
        label="New token"
        title="New token"
        submit="Make the token"
        lacks={lacks}
        reset={() => {
          setName("");
          setDays(DAYS);
          setScopes(["read"]);
        }}
        action={async () => {
          const made = await body(api.POST("/api/v1/tokens", { body: { name, scopes, days } }));
          setSecret(made.token);
        }}
        done={() => client.invalidateQueries({ queryKey: ["tokens"] })}
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
        <NumberInput
          label="Good for"
          value={days}
          onChange={(value) => setDays(Number(value))}
          min={1}
          max={3650}
          suffix=" days"
          allowDecimal={false}
        />
        <Checkbox.Group
          label="It may"
          value={scopes}
          onChange={(chosen) => setScopes(chosen as Scope[])}
        >
          <div className={css.stack} style={{ marginTop: "0.5rem" }}>
            {scopeNames.filter(may).map((scope) => (
              <Checkbox
                key={scope}
                value={scope}
                label={scope}
                description={scopesInWords[scope]}
              />
            ))}
          </div>
        </Checkbox.Group>
      </FormDialog>
      <Once title="Your new token" secret={secret} onClose={() => setSecret(undefined)}>
        Put it where the program finds it and nobody else does. It is shown now and never again.
      </Once>
    </>
  );
}
