import { MultiSelect, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { api, body, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { FormDialog } from "../../ui/FormDialog";
import { namePattern, nameRule } from "../../ui/names";
import { fromLocalInput, toLocalInput } from "../../ui/time";
import css from "../../ui/ui.module.css";

interface Draft {
  name: string;
  groups: string[];
  from: string;
  until: string;
  reason: string;
}

const DAY_MS = 86_400_000;

const empty = (): Draft => ({
  name: "",
  groups: [],
  from: new Date().toISOString(),
  until: new Date(Date.now() + DAY_MS).toISOString(),
  reason: "",
});

export function NewFreeze({ freezes, done }: { freezes: Schemas["Freeze"][]; done: () => void }) {
  const [draft, setDraft] = useState(empty);
  const groups = useQuery(queries.groups);
  const set = (change: Partial<Draft>) => setDraft({ ...draft, ...change });
  const isTaken = freezes.some(({ name }) => name === draft.name);
  const lacks = isTaken
    ? `There is a freeze ${draft.name} already: remove it, or choose another name.`
    : draft.until <= draft.from
      ? "It ends after its start."
      : null;
  const time = (key: "from" | "until", label: string) => (
    <TextInput
      type="datetime-local"
      label={label}
      value={toLocalInput(draft[key])}
      onChange={(event) => set({ [key]: fromLocalInput(event.currentTarget.value) })}
      required
    />
  );
  return (
    <FormDialog
      label="New freeze"
      title="New freeze"
      submit="Freeze"
      variant="default"
      lacks={lacks}
      reset={() => setDraft(empty())}
      action={() =>
        body(
          api.PUT("/api/v1/freezes/{name}", {
            params: { path: { name: draft.name } },
            body: {
              groups: draft.groups,
              starts_at: draft.from,
              ends_at: draft.until,
              reason: draft.reason,
            },
          }),
        )
      }
      done={done}
    >
      <TextInput
        label="Name"
        description={nameRule}
        placeholder="holidays"
        value={draft.name}
        onChange={(event) => set({ name: event.currentTarget.value })}
        pattern={namePattern}
        title={nameRule}
        error={isTaken}
        autoComplete="off"
        required
        data-autofocus
      />
      <div className={css.fields}>
        {time("from", "From")}
        {time("until", "Until")}
      </div>
      <MultiSelect
        label="Devices of these groups"
        description="None stands for every device"
        data={(groups.data?.items ?? []).map(({ name }) => name)}
        value={draft.groups}
        onChange={(chosen) => set({ groups: chosen })}
        searchable
      />
      <TextInput
        label="Why"
        description="For whoever wonders why nothing moves"
        value={draft.reason}
        onChange={(event) => set({ reason: event.currentTarget.value })}
        maxLength={1000}
        autoComplete="off"
      />
    </FormDialog>
  );
}
