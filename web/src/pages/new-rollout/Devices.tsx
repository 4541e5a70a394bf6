import { Checkbox, NumberInput, Radio } from "@mantine/core";
import { DurationInput } from "../../ui/DurationInput";
import { durationInWords } from "../../ui/duration";
import css from "../../ui/ui.module.css";
import { actions } from "../rollout/words";
import type { Draft } from "./draft";

/** What devices do with what they are told, and how long they may take. */
export function Devices({ draft, set }: { draft: Draft; set: (change: Partial<Draft>) => void }) {
  return (
    <div className={css.stack}>
      <Radio.Group
        label="How they install it"
        description="Devices whose protocol has no words for it are left out; the preview names them"
        value={draft.action}
        onChange={(action) => set({ action: action as Draft["action"] })}
      >
        <div className={css.stack} style={{ marginTop: "0.4rem" }}>
          {Object.entries(actions).map(([value, { label, about }]) => (
            <Radio key={value} value={value} label={label} description={about} />
          ))}
        </div>
      </Radio.Group>
      <div className={css.fields}>
        <NumberInput
          label="Attempts"
          description="Only the last failure of a device counts"
          value={draft.attempts}
          onChange={(attempts) => set({ attempts: Number(attempts) })}
          min={1}
          max={100}
          allowDecimal={false}
          clampBehavior="strict"
        />
        <DurationInput
          label="No news is a failure after"
          description="0: devices have for ever"
          value={draft.timeoutSeconds}
          onChange={(timeoutSeconds) => set({ timeoutSeconds })}
          unit="h"
        />
      </div>
      <Checkbox
        label="Take devices over from older rollouts"
        description="Those that have fetched nothing there; without this, they wait until the older one has ended for them"
        checked={draft.takesOver}
        onChange={(event) => set({ takesOver: event.currentTarget.checked })}
      />
    </div>
  );
}

export function devicesInWords(draft: Draft): string {
  const parts = [
    actions[draft.action].label.toLowerCase(),
    draft.attempts === 1 ? "one attempt" : `${draft.attempts} attempts`,
    draft.timeoutSeconds === 0
      ? "as long as it takes"
      : `${durationInWords(draft.timeoutSeconds)} each`,
    draft.takesOver && "taken over from older rollouts",
  ];
  return parts.filter(Boolean).join(", ");
}
