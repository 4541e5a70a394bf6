import { Checkbox, Radio, TextInput } from "@mantine/core";
import { fromLocalInput, toLocalInput } from "../../ui/time";
import css from "../../ui/ui.module.css";
import type { Draft } from "./draft";

/** When it begins, and who has to say yes before. */
export function Begin({ draft, set }: { draft: Draft; set: (change: Partial<Draft>) => void }) {
  return (
    <div className={css.stack}>
      <Radio.Group
        label="It begins"
        value={draft.start}
        onChange={(start) => set({ start: start as Draft["start"] })}
      >
        <div className={css.stack} style={{ marginTop: "0.4rem" }}>
          <Radio value="now" label="At once" />
          <Radio value="at" label="At a time" />
          <Radio value="manual" label="When somebody starts it" />
        </div>
      </Radio.Group>
      {draft.start === "at" && (
        <TextInput
          type="datetime-local"
          label="Begins at"
          description="In your own time zone"
          value={toLocalInput(draft.startsAt)}
          onChange={(event) => set({ startsAt: fromLocalInput(event.currentTarget.value) })}
          required
        />
      )}
      <Checkbox
        label="A second person has to approve"
        description="Nothing begins before somebody else than you has approved of it"
        checked={draft.needsApproval}
        onChange={(event) => set({ needsApproval: event.currentTarget.checked })}
      />
    </div>
  );
}

export function beginInWords(draft: Draft): string {
  const when = {
    now: "at once",
    at: draft.startsAt ? `at ${new Date(draft.startsAt).toLocaleString()}` : "at a time",
    manual: "when somebody starts it",
  }[draft.start];
  return draft.needsApproval ? `${when}, once it is approved` : when;
}
