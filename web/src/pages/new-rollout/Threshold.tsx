import { NumberInput } from "@mantine/core";
import css from "../../ui/ui.module.css";
import type { ThresholdDraft } from "./draft";

/** A share of a phase's devices, and the least number of them. */
export function Threshold({
  label,
  atLeast,
  value,
  onChange,
}: {
  label: string;
  atLeast: string;
  value: ThresholdDraft;
  onChange: (value: ThresholdDraft) => void;
}) {
  return (
    <div className={css.fields}>
      <NumberInput
        label={label}
        value={value.percent}
        onChange={(percent) => onChange({ ...value, percent: Number(percent) })}
        min={0}
        max={100}
        suffix=" %"
        allowDecimal={false}
        clampBehavior="strict"
      />
      <NumberInput
        label={atLeast}
        value={value.minimum}
        onChange={(minimum) => onChange({ ...value, minimum: Number(minimum) })}
        min={1}
        max={1_000_000}
        allowDecimal={false}
        clampBehavior="strict"
      />
    </div>
  );
}
