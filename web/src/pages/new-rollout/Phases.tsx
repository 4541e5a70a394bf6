import { ActionIcon, Button, NumberInput, Select } from "@mantine/core";
import { IconPlus, IconTrash } from "@tabler/icons-react";
import css from "../../ui/ui.module.css";
import type { Draft, PhaseDraft } from "./draft";
import own from "./new-rollout.module.css";

interface Props {
  draft: Draft;
  groups: string[];
  set: (change: Partial<Draft>) => void;
}

/** The phases in their order, each with what it adds. */
export function Phases({ draft, groups, set }: Props) {
  const { phases } = draft;
  const change = (index: number, phase: PhaseDraft) =>
    set({ phases: phases.map((old, at) => (at === index ? phase : old)) });
  return (
    <div className={css.stack}>
      <ol className={own.phases}>
        {phases.map((phase, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: phases have no other name
          <li key={index} className={own.phase}>
            <span className={css.quiet}>{index + 1}.</span>
            <div>
              <Select
                aria-label={`What phase ${index + 1} is chosen by`}
                data={[
                  { value: "percent", label: "up to a share" },
                  { value: "group", label: "a group" },
                ]}
                value={phase.by}
                allowDeselect={false}
                onChange={(by) =>
                  change(
                    index,
                    by === "group" ? { by, value: "" } : { by: "percent", value: "100" },
                  )
                }
              />
            </div>
            <div className={own.value}>
              {phase.by === "percent" ? (
                <NumberInput
                  aria-label={`Share of phase ${index + 1}`}
                  value={Number(phase.value)}
                  onChange={(value) => change(index, { by: "percent", value: String(value) })}
                  min={1}
                  max={100}
                  suffix=" %"
                  allowDecimal={false}
                />
              ) : (
                <Select
                  aria-label={`Group of phase ${index + 1}`}
                  data={groups}
                  value={phase.value || null}
                  onChange={(value) => change(index, { by: "group", value: value ?? "" })}
                  placeholder="Choose a group"
                  searchable
                />
              )}
            </div>
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-label={`Remove phase ${index + 1}`}
              disabled={phases.length === 1}
              onClick={() => set({ phases: phases.filter((_, at) => at !== index) })}
            >
              <IconTrash size={16} />
            </ActionIcon>
          </li>
        ))}
      </ol>
      <div>
        <Button
          variant="default"
          size="xs"
          leftSection={<IconPlus size={15} aria-hidden />}
          onClick={() => set({ phases: [...phases, { by: "percent", value: "100" }] })}
        >
          Add a phase
        </Button>
      </div>
    </div>
  );
}
