import { ActionIcon, Button, NumberInput, Select, TagsInput } from "@mantine/core";
import { IconAdjustments, IconPlus, IconTrash } from "@tabler/icons-react";
import { useState } from "react";
import css from "../../ui/ui.module.css";
import { type Draft, type PhaseDraft, percentPhase } from "./draft";
import own from "./new-rollout.module.css";
import { PhaseRules } from "./PhaseRules";

interface Props {
  draft: Draft;
  groups: string[];
  set: (change: Partial<Draft>) => void;
}

/** The phases in their order, each with what it adds. */
export function Phases({ draft, groups, set }: Props) {
  const { phases } = draft;
  return (
    <div className={css.stack}>
      <ol className={own.phases}>
        {phases.map((phase, index) => (
          <Phase
            // biome-ignore lint/suspicious/noArrayIndexKey: phases have no other name
            key={index}
            number={index + 1}
            phase={phase}
            draft={draft}
            groups={groups}
            onChange={(next) =>
              set({ phases: phases.map((old, at) => (at === index ? next : old)) })
            }
            onRemove={
              phases.length > 1
                ? () => set({ phases: phases.filter((_, at) => at !== index) })
                : undefined
            }
          />
        ))}
      </ol>
      <div>
        <Button
          variant="default"
          size="xs"
          leftSection={<IconPlus size={15} aria-hidden />}
          onClick={() => set({ phases: [...phases, percentPhase("100")] })}
        >
          Add a phase
        </Button>
      </div>
    </div>
  );
}

interface PhaseProps {
  number: number;
  phase: PhaseDraft;
  draft: Draft;
  groups: string[];
  onChange: (phase: PhaseDraft) => void;
  /** Absent: it is the only one. */
  onRemove?: () => void;
}

function Phase({ number, phase, draft, groups, onChange, onRemove }: PhaseProps) {
  const hasRules = !!phase.success || !!phase.failure || phase.soakSeconds !== undefined;
  const [isOpen, setOpen] = useState(hasRules);
  return (
    <li>
      <div className={own.phase}>
        <span className={css.quiet}>{number}.</span>
        <Select
          aria-label={`What phase ${number} is chosen by`}
          data={[
            { value: "percent", label: "up to a share" },
            { value: "group", label: "a group" },
            { value: "devices", label: "devices" },
          ]}
          value={phase.by}
          allowDeselect={false}
          onChange={(by) =>
            onChange({
              ...phase,
              by: by as PhaseDraft["by"],
              value: by === "percent" ? "100" : "",
              devices: [],
            })
          }
        />
        <div className={own.value}>
          <Chosen number={number} phase={phase} groups={groups} onChange={onChange} />
        </div>
        <div className={own.phaseButtons}>
          <ActionIcon
            variant={hasRules ? "light" : "subtle"}
            color={hasRules ? undefined : "gray"}
            aria-label={`Rules of phase ${number} alone`}
            aria-expanded={isOpen}
            onClick={() => setOpen(!isOpen)}
          >
            <IconAdjustments size={16} />
          </ActionIcon>
          <ActionIcon
            variant="subtle"
            color="gray"
            aria-label={`Remove phase ${number}`}
            disabled={!onRemove}
            onClick={onRemove}
          >
            <IconTrash size={16} />
          </ActionIcon>
        </div>
      </div>
      {isOpen && <PhaseRules phase={phase} draft={draft} onChange={onChange} />}
    </li>
  );
}

function Chosen({
  number,
  phase,
  groups,
  onChange,
}: Pick<PhaseProps, "number" | "phase" | "groups" | "onChange">) {
  if (phase.by === "group") {
    return (
      <Select
        aria-label={`Group of phase ${number}`}
        data={groups}
        value={phase.value || null}
        onChange={(value) => onChange({ ...phase, value: value ?? "" })}
        placeholder="Choose a group"
        searchable
      />
    );
  }
  if (phase.by === "devices") {
    return (
      <TagsInput
        aria-label={`Devices of phase ${number}`}
        placeholder="Ids, each ended with Enter"
        value={phase.devices}
        onChange={(devices) => onChange({ ...phase, devices })}
        splitChars={[",", " "]}
      />
    );
  }
  return (
    <NumberInput
      aria-label={`Share of phase ${number}`}
      value={Number(phase.value)}
      onChange={(value) => onChange({ ...phase, value: String(value) })}
      min={1}
      max={100}
      suffix=" %"
      allowDecimal={false}
    />
  );
}
