import { MultiSelect, SegmentedControl, TagsInput } from "@mantine/core";
import css from "../../ui/ui.module.css";
import type { Draft } from "./draft";

interface Props {
  draft: Draft;
  groups: string[];
  set: (change: Partial<Draft>) => void;
}

/** Which devices a rollout is about. */
export function Scope({ draft, groups, set }: Props) {
  return (
    <div className={css.stack}>
      <SegmentedControl
        aria-label="Which devices"
        value={draft.scope}
        onChange={(scope) =>
          set({ scope: scope as Draft["scope"], ...(scope === "devices" ? {} : { devices: [] }) })
        }
        data={[
          { value: "all", label: "All" },
          { value: "groups", label: "Groups" },
          { value: "devices", label: "Devices" },
        ]}
      />
      {draft.scope === "groups" && (
        <MultiSelect
          label="Groups"
          data={groups}
          value={draft.groups}
          onChange={(chosen) => set({ groups: chosen })}
          searchable
          placeholder={groups.length === 0 ? "There is no group yet" : undefined}
        />
      )}
      {draft.scope === "devices" && (
        <TagsInput
          label="Devices"
          description="Ids, each ended with Enter"
          value={draft.devices}
          onChange={(devices) => set({ devices })}
          splitChars={[",", " "]}
        />
      )}
    </div>
  );
}
