import { Radio, Select } from "@mantine/core";
import { DurationInput } from "../../ui/DurationInput";
import css from "../../ui/ui.module.css";
import { onFailure } from "../rollout/words";
import type { Draft } from "./draft";
import { Threshold } from "./Threshold";

interface Props {
  draft: Draft;
  releases: string[];
  set: (change: Partial<Draft>) => void;
}

/** By what the rollout goes on, by what it fails, and what happens then. */
export function Progress({ draft, releases, set }: Props) {
  return (
    <div className={css.stack}>
      <Threshold
        label="The next phase begins when so many have succeeded"
        atLeast="and at least so many devices"
        value={draft.success}
        onChange={(success) => set({ success })}
      />
      <DurationInput
        label="and it has stayed so for"
        description="Soak time: trouble that comes late is seen before more devices have it"
        value={draft.soakSeconds}
        onChange={(soakSeconds) => set({ soakSeconds })}
        unit="h"
      />
      <Threshold
        label="The rollout fails when so many have failed"
        atLeast="and at least so many devices have"
        value={draft.failure}
        onChange={(failure) => set({ failure })}
      />
      <Radio.Group
        label="What happens then"
        value={draft.onFailure}
        onChange={(value) => set({ onFailure: value as Draft["onFailure"] })}
      >
        <div className={css.stack} style={{ marginTop: "0.4rem" }}>
          {Object.entries(onFailure).map(([value, { label, about }]) => (
            <Radio key={value} value={value} label={label} description={about} />
          ))}
        </div>
      </Radio.Group>
      {draft.onFailure === "rollback" && (
        <Select
          label="Release for devices whose own before is not known"
          description="None: these keep the new one, and are shown as not rolled back"
          data={releases}
          value={draft.rollbackRelease || null}
          onChange={(rollbackRelease) => set({ rollbackRelease: rollbackRelease ?? "" })}
          clearable
          clearButtonProps={{ "aria-label": "None" }}
          searchable
        />
      )}
    </div>
  );
}
