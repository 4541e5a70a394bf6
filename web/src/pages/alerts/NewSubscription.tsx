import { MultiSelect, SegmentedControl, TextInput } from "@mantine/core";
import { useState } from "react";
import { api, body, type Schemas } from "../../api/client";
import { FormDialog } from "../../ui/FormDialog";
import { type EventKind, kindChoices } from "../../ui/kinds";
import { namePattern, nameRule } from "../../ui/names";

interface Draft {
  name: string;
  by: "webhook" | "email";
  to: string;
  events: string[];
}

const empty: Draft = {
  name: "",
  by: "webhook",
  to: "",
  events: ["alert_fired", "alert_resolved"],
};

export function NewSubscription({
  taken,
  made,
}: {
  taken: string[];
  made: (created: Schemas["CreatedSubscription"]) => void;
}) {
  const [draft, setDraft] = useState(empty);
  const set = (change: Partial<Draft>) => setDraft({ ...draft, ...change });
  const isTaken = taken.includes(draft.name);
  const to = draft.to.trim();
  const target: Schemas["SubscriptionTarget"] =
    draft.by === "webhook" ? { webhook: { url: to } } : { email: { address: to } };
  return (
    <FormDialog
      label="Tell somebody"
      title="Tell a program or a person"
      submit="Tell of these events"
      lacks={isTaken ? `${draft.name} is told already: choose another name.` : null}
      reset={() => setDraft(empty)}
      action={async () =>
        made(
          await body(
            api.POST("/api/v1/subscriptions", {
              body: { name: draft.name, target, events: draft.events as EventKind[] },
            }),
          ),
        )
      }
    >
      <TextInput
        label="Name"
        description={nameRule}
        value={draft.name}
        onChange={(event) => set({ name: event.currentTarget.value })}
        pattern={namePattern}
        title={nameRule}
        error={isTaken}
        autoComplete="off"
        required
        data-autofocus
      />
      <SegmentedControl
        aria-label="How it is told"
        value={draft.by}
        onChange={(by) => set({ by: by as Draft["by"], to: "" })}
        data={[
          { value: "webhook", label: "Webhook" },
          { value: "email", label: "Mail" },
        ]}
      />
      {draft.by === "webhook" ? (
        <TextInput
          key="webhook"
          label="Address"
          description="Each event is sent there by itself, signed"
          placeholder="https://hooks.example/updraft"
          type="url"
          value={draft.to}
          onChange={(event) => set({ to: event.currentTarget.value })}
          required
        />
      ) : (
        <TextInput
          key="email"
          label="Mailbox"
          description="A mail tells what happened since the last one"
          placeholder="ops@example.com"
          type="email"
          value={draft.to}
          onChange={(event) => set({ to: event.currentTarget.value })}
          required
        />
      )}
      <MultiSelect
        label="Events"
        description="None stands for every kind, also for those of a newer server"
        data={kindChoices}
        value={draft.events}
        onChange={(events) => set({ events })}
        searchable
        clearable
        clearButtonProps={{ "aria-label": "Tell of every kind" }}
      />
    </FormDialog>
  );
}
