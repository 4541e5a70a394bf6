import { Input, NativeSelect, NumberInput } from "@mantine/core";
import { useId, useState } from "react";
import { unitOf, units } from "./duration";
import css from "./ui.module.css";

interface Props {
  label: string;
  description?: string;
  /** In seconds; 0 is none. */
  value: number;
  onChange: (seconds: number) => void;
  /** The unit to begin with when there is no value. */
  unit?: "d" | "h" | "m" | "s";
}

const LONGEST = 10 * 365 * 86_400;

/** A length of time: a number and its unit. */
export function DurationInput({ label, description, value, onChange, unit = "m" }: Props) {
  const id = useId();
  const [letter, setLetter] = useState<string>(value > 0 ? unitOf(value).letter : unit);
  const length = units.find((unit) => unit.letter === letter)?.seconds ?? 1;
  return (
    <Input.Wrapper id={id} label={label} description={description}>
      <div className={css.duration}>
        <NumberInput
          id={id}
          value={value / length}
          onChange={(count) => onChange(Math.round(Number(count) * length))}
          min={0}
          max={Math.floor(LONGEST / length)}
          decimalScale={2}
        />
        <NativeSelect
          aria-label={`${label}: unit`}
          value={letter}
          data={units.map(({ letter, word }) => ({ value: letter, label: `${word}s` }))}
          onChange={(event) => {
            const next = units.find((unit) => unit.letter === event.currentTarget.value);
            setLetter(event.currentTarget.value);
            if (next) onChange(Math.round((value / length) * next.seconds));
          }}
        />
      </div>
    </Input.Wrapper>
  );
}
