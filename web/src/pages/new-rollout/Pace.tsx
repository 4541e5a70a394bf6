import { Autocomplete, Button, NumberInput, Radio } from "@mantine/core";
import { IconPlus } from "@tabler/icons-react";
import { DurationInput } from "../../ui/DurationInput";
import css from "../../ui/ui.module.css";
import { rateInWords } from "../rollout/words";
import { type Draft, request } from "./draft";
import { Window } from "./Window";

interface Props {
  draft: Draft;
  set: (change: Partial<Draft>) => void;
}

/** How many devices are told at a time, and at which times. */
export function Pace({ draft, set }: Props) {
  const { growing, windows } = draft;
  const count = (
    label: string,
    value: number,
    onChange: (value: number) => void,
    more: { description?: string; min?: number; max?: number; suffix?: string } = {},
  ) => (
    <NumberInput
      label={label}
      value={value}
      onChange={(next) => onChange(Number(next))}
      min={1}
      max={1_000_000}
      allowDecimal={false}
      {...more}
    />
  );
  return (
    <div className={css.stack}>
      <Radio.Group
        label="How fast devices are told"
        value={draft.rate}
        onChange={(rate) => set({ rate: rate as Draft["rate"] })}
      >
        <div className={css.stack} style={{ marginTop: "0.4rem" }}>
          <Radio value="none" label="All of a phase at once" />
          <Radio value="steady" label="So many a minute" />
          <Radio value="growing" label="Slowly at first, then faster" />
        </div>
      </Radio.Group>
      {draft.rate === "steady" &&
        count("Devices a minute", draft.perMinute, (perMinute) => set({ perMinute }))}
      {draft.rate === "growing" && (
        <div className={css.fields}>
          {count("Devices in the first interval", growing.start, (start) =>
            set({ growing: { ...growing, start } }),
          )}
          {count(
            "In each next one, of the one before",
            growing.percent,
            (percent) => set({ growing: { ...growing, percent } }),
            { max: 10_000, suffix: " %" },
          )}
          <DurationInput
            label="An interval is"
            value={growing.seconds}
            onChange={(seconds) => set({ growing: { ...growing, seconds } })}
          />
        </div>
      )}
      {count("At most so many at a time", draft.maxActive, (maxActive) => set({ maxActive }), {
        min: 0,
        description: "Told and not ended, so also how many download at once; 0: any number",
      })}
      {count(
        "At most so many kB a second",
        draft.maxKilobytes,
        (maxKilobytes) => set({ maxKilobytes }),
        {
          min: 0,
          description:
            "What all its devices download from a server together; 0: as fast as it goes",
        },
      )}
      <h3>Windows</h3>
      <p className={css.quiet}>
        Devices are told only while one of these is open, in their own time. None: at any time.
      </p>
      {windows.map((window, index) => (
        <Window
          // biome-ignore lint/suspicious/noArrayIndexKey: windows have no other name
          key={index}
          number={index + 1}
          window={window}
          onChange={(next) =>
            set({ windows: windows.map((old, at) => (at === index ? next : old)) })
          }
          onRemove={() => set({ windows: windows.filter((_, at) => at !== index) })}
        />
      ))}
      <div>
        <Button
          variant="default"
          size="xs"
          leftSection={<IconPlus size={15} aria-hidden />}
          onClick={() =>
            set({ windows: [...windows, { days: [], start: "02:00", seconds: 7200 }] })
          }
        >
          Add a window
        </Button>
      </div>
      {windows.length > 0 && (
        <Autocomplete
          label="Time zone of devices that report none"
          placeholder="UTC"
          data={Intl.supportedValuesOf("timeZone")}
          limit={50}
          value={draft.timeZone}
          onChange={(timeZone) => set({ timeZone })}
        />
      )}
    </div>
  );
}

export function paceInWords(draft: Draft): string {
  const { rate } = request(draft);
  const parts = [
    rate ? rateInWords(rate) : "each phase at once",
    draft.maxActive > 0 && `at most ${draft.maxActive} at a time`,
    draft.maxKilobytes > 0 && `at most ${draft.maxKilobytes} kB a second`,
    draft.windows.length > 0 && "in windows",
  ];
  return parts.filter(Boolean).join(", ");
}
