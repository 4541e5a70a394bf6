import { Autocomplete, MultiSelect, NumberInput, SegmentedControl, TextInput } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { type ReactNode, useState } from "react";
import { api, body } from "../../api/client";
import * as queries from "../../api/queries";
import { DurationInput } from "../../ui/DurationInput";
import { FormDialog } from "../../ui/FormDialog";
import { namePattern, nameRule } from "../../ui/names";
import css from "../../ui/ui.module.css";
import { valueInWords } from "../../ui/values";
import {
  commonMetrics,
  emptyRule,
  type Rule,
  type RuleDraft,
  readRule,
  ruleInWords,
  ruleLacks,
  writeRule,
} from "./rule";

interface Props {
  /** The rule to change; absent: a new one. */
  rule?: Rule;
  /** A metric that somebody wants a new rule about. */
  metric?: string;
  /** Names that a new one cannot have. */
  taken: string[];
  icon?: ReactNode;
  done: () => void;
}

/** Makes a rule, or changes one. */
export function RuleForm({ rule, metric, taken, icon, done }: Props) {
  const initial = rule ? readRule(rule) : { ...emptyRule, metric: metric ?? "" };
  const [draft, setDraft] = useState(initial);
  const groups = useQuery(queries.groups);
  const set = (change: Partial<RuleDraft>) => setDraft({ ...draft, ...change });
  const groupNames = (groups.data?.items ?? []).map(({ name }) => name);
  const isTaken = taken.includes(draft.name);
  const lacks = isTaken
    ? `There is a rule ${draft.name} already: change that one, or choose another name.`
    : ruleLacks(draft);
  return (
    <FormDialog
      label={rule ? "Change" : "New rule"}
      title={rule ? `Change the rule ${rule.name}` : "New rule"}
      submit={rule ? "Change the rule" : "Make the rule"}
      icon={icon}
      variant={rule ? "default" : undefined}
      size="lg"
      lacks={lacks}
      isOpenAtFirst={!!metric}
      reset={() => setDraft(initial)}
      action={() =>
        body(
          api.PUT("/api/v1/alert-rules/{name}", {
            params: { path: { name: draft.name } },
            body: writeRule(draft),
          }),
        )
      }
      done={done}
    >
      {!rule && (
        <TextInput
          label="Name"
          description={nameRule}
          placeholder="low-memory"
          value={draft.name}
          onChange={(event) => set({ name: event.currentTarget.value })}
          pattern={namePattern}
          title={nameRule}
          error={isTaken}
          autoComplete="off"
          required
          data-autofocus
        />
      )}
      <SegmentedControl
        aria-label="What the rule looks at"
        value={draft.by}
        onChange={(by) => set({ by: by as RuleDraft["by"] })}
        data={[
          { value: "metric", label: "A metric" },
          { value: "silent", label: "Silence" },
          { value: "failed", label: "Failure" },
        ]}
      />
      {draft.by === "metric" && <MetricFields draft={draft} set={set} />}
      {draft.by === "silent" && (
        <DurationInput
          label="No request for"
          description="Longer than devices sleep between two polls"
          value={draft.silentSeconds}
          onChange={(silentSeconds) => set({ silentSeconds })}
          unit="h"
        />
      )}
      <MultiSelect
        label="Devices of these groups"
        description="None stands for every device"
        data={groupNames}
        value={draft.groups}
        onChange={(chosen) => set({ groups: chosen })}
        searchable
        placeholder={groupNames.length === 0 ? "There is no group yet" : undefined}
      />
      <SegmentedControl
        aria-label="How much it matters"
        value={draft.severity}
        onChange={(severity) => set({ severity: severity as RuleDraft["severity"] })}
        data={[
          { value: "warning", label: "Warning" },
          { value: "critical", label: "Critical" },
        ]}
      />
      {!ruleLacks(draft) && (
        <p className={css.note} role="status">
          {ruleInWords(writeRule(draft))}
        </p>
      )}
    </FormDialog>
  );
}

function MetricFields({
  draft,
  set,
}: {
  draft: RuleDraft;
  set: (change: Partial<RuleDraft>) => void;
}) {
  const bound = (key: "above" | "below", label: string) => (
    <NumberInput
      label={label}
      description={draft[key] === "" ? "no such bound" : valueInWords(draft.metric, draft[key])}
      value={draft[key]}
      onChange={(value) => set({ [key]: value === "" ? "" : Number(value) })}
      thousandSeparator=","
    />
  );
  return (
    <>
      <Autocomplete
        label="Metric"
        description="As the page of a device names it; the end of the name is its unit"
        data={commonMetrics}
        value={draft.metric}
        onChange={(metric) => set({ metric })}
        maxLength={128}
        required
      />
      <div className={css.fields}>
        {bound("above", "Alert above")}
        {bound("below", "Alert below")}
      </div>
      <DurationInput
        label="For at least"
        description="A short peak is then no alert; 0: at once"
        value={draft.forSeconds}
        onChange={(forSeconds) => set({ forSeconds })}
      />
    </>
  );
}
