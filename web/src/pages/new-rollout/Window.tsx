import { ActionIcon, Checkbox, TextInput } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";
import { DurationInput } from "../../ui/DurationInput";
import css from "../../ui/ui.module.css";
import { dayInWords } from "../rollout/words";
import { weekdays } from "./address";
import type { Weekday, WindowDraft } from "./draft";
import own from "./new-rollout.module.css";

interface Props {
  number: number;
  window: WindowDraft;
  onChange: (window: WindowDraft) => void;
  onRemove: () => void;
}

/** A time of the week in which devices may be told. */
export function Window({ number, window, onChange, onRemove }: Props) {
  return (
    <fieldset className={own.window}>
      <legend>Window {number}</legend>
      <Checkbox.Group
        label="On"
        description="None stands for every day"
        value={window.days}
        onChange={(days) => onChange({ ...window, days: days as Weekday[] })}
      >
        <div className={css.row} style={{ marginTop: "0.4rem" }}>
          {weekdays.map((day) => (
            <Checkbox key={day} value={day} label={dayInWords(day).slice(0, 3)} />
          ))}
        </div>
      </Checkbox.Group>
      <div className={own.windowTimes}>
        <TextInput
          type="time"
          label="Opens at"
          value={window.start}
          onChange={(event) => onChange({ ...window, start: event.currentTarget.value })}
          required
        />
        <DurationInput
          label="Open for"
          value={window.seconds}
          onChange={(seconds) => onChange({ ...window, seconds })}
          unit="h"
        />
        <ActionIcon
          variant="subtle"
          color="gray"
          size="lg"
          aria-label={`Remove window ${number}`}
          onClick={onRemove}
        >
          <IconTrash size={16} />
        </ActionIcon>
      </div>
    </fieldset>
  );
}
