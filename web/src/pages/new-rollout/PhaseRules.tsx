import { Checkbox } from "@mantine/core";
import { DurationInput } from "../../ui/DurationInput";
import css from "../../ui/ui.module.css";
import type { Draft, PhaseDraft } from "./draft";
import own from "./new-rollout.module.css";
import { Threshold } from "./Threshold";

/** What holds for one phase in place of the rollout's rules. */
export function PhaseRules({
  phase,
  draft,
  onChange,
}: {
  phase: PhaseDraft;
  draft: Draft;
  onChange: (phase: PhaseDraft) => void;
}) {
  return (
    <div className={`${own.phaseRules} ${css.stack}`}>
      <Checkbox
        label="It is good enough by a share of its own"
        checked={!!phase.success}
        onChange={(event) =>
          onChange({ ...phase, success: event.currentTarget.checked ? draft.success : undefined })
        }
      />
      {phase.success && (
        <Threshold
          label="So many have succeeded"
          atLeast="and at least so many devices"
          value={phase.success}
          onChange={(success) => onChange({ ...phase, success })}
        />
      )}
      <Checkbox
        label="It fails by a share of its own"
        checked={!!phase.failure}
        onChange={(event) =>
          onChange({ ...phase, failure: event.currentTarget.checked ? draft.failure : undefined })
        }
      />
      {phase.failure && (
        <Threshold
          label="So many have failed"
          atLeast="and at least so many devices have"
          value={phase.failure}
          onChange={(failure) => onChange({ ...phase, failure })}
        />
      )}
      <Checkbox
        label="It soaks for a time of its own"
        checked={phase.soakSeconds !== undefined}
        onChange={(event) =>
          onChange({
            ...phase,
            soakSeconds: event.currentTarget.checked ? draft.soakSeconds : undefined,
          })
        }
      />
      {phase.soakSeconds !== undefined && (
        <DurationInput
          label="Stays good enough for"
          value={phase.soakSeconds}
          onChange={(soakSeconds) => onChange({ ...phase, soakSeconds })}
          unit="h"
        />
      )}
    </div>
  );
}
