import { Button, Select, TextInput } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { type FormEvent, useState } from "react";
import { useNavigate, useSearchParams } from "react-router";
import { api, body } from "../../api/client";
import * as queries from "../../api/queries";
import { useMay } from "../../session/SessionContext";
import { Empty } from "../../ui/Empty";
import { rolloutAt } from "../../ui/links";
import { namePattern, nameRule } from "../../ui/names";
import { Card, Page } from "../../ui/Page";
import { Problem } from "../../ui/Problem";
import css from "../../ui/ui.module.css";
import { readDraft, writeDraft } from "./address";
import { Begin, beginInWords } from "./Begin";
import { Devices, devicesInWords } from "./Devices";
import { type Draft, missing, request } from "./draft";
import { Fold } from "./Fold";
import own from "./new-rollout.module.css";
import { Pace, paceInWords } from "./Pace";
import { Phases } from "./Phases";
import { Preview } from "./Preview";
import { Progress } from "./Progress";
import { Scope } from "./Scope";

export default function NewRollout() {
  const [search, setSearch] = useSearchParams();
  // The address follows what is written; a field that waited for it would lose letters.
  const [draft, setDraft] = useState(() => readDraft(search));
  const releases = useQuery(queries.releases);
  const groups = useQuery(queries.groups);
  const client = useQueryClient();
  const navigate = useNavigate();
  const may = useMay();
  const set = (change: Partial<Draft>) => {
    const next = { ...draft, ...change };
    setDraft(next);
    setSearch(writeDraft(next), { replace: true, state: { keepFocus: true } });
  };
  const create = useMutation({
    mutationFn: () => body(api.POST("/api/v1/rollouts", { body: request(draft) })),
    onSuccess: (made) => {
      for (const queryKey of [["rollouts"], ["approvals"], ["overview"]])
        client.invalidateQueries({ queryKey });
      navigate(rolloutAt(made.name));
    },
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    create.mutate();
  };
  if (!may("operate")) {
    return (
      <Page title="New rollout">
        <Empty title="You may look, not operate">
          Creating rollouts needs the scope <code>operate</code>, which you do not have.
        </Empty>
      </Page>
    );
  }
  const names = (releases.data?.items ?? []).map(({ name }) => name);
  const groupNames = (groups.data?.items ?? []).map(({ name }) => name);
  const lacks = missing(draft);
  return (
    <Page
      title="New rollout"
      about="What you write is in the address: pass it on to have it checked"
    >
      <form className={own.columns} onSubmit={submit}>
        <div className={css.page}>
          <Card title="1. What">
            {releases.data && names.length === 0 ? (
              <Empty
                title="There is no release yet"
                command="updraft release create v1 --repo REPO --target HARDWARE=REF"
              >
                A rollout brings a signed release to devices. Make one first.
              </Empty>
            ) : (
              <div className={own.fields}>
                <Select
                  label="Release"
                  data={names}
                  value={draft.release || null}
                  onChange={(release) => set({ release: release ?? "" })}
                  searchable
                  required
                  placeholder="Choose a release"
                />
                <TextInput
                  label="Name of the rollout"
                  value={draft.name}
                  onChange={(event) => set({ name: event.currentTarget.value })}
                  pattern={namePattern}
                  title={nameRule}
                  autoComplete="off"
                  required
                />
              </div>
            )}
          </Card>
          <Card title="2. Who">
            <Scope draft={draft} groups={groupNames} set={set} />
          </Card>
          <Card title="3. In which order">
            <Phases draft={draft} groups={groupNames} set={set} />
          </Card>
          <Card title="4. When to go on and when to stop">
            <Progress draft={draft} releases={names} set={set} />
          </Card>
          <Fold title="5. When it begins" now={beginInWords(draft)}>
            <Begin draft={draft} set={set} />
          </Fold>
          <Fold title="6. How fast, and at which times" now={paceInWords(draft)}>
            <Pace draft={draft} set={set} />
          </Fold>
          <Fold title="7. What devices do" now={devicesInWords(draft)}>
            <Devices draft={draft} set={set} />
          </Fold>
        </div>
        <div className={own.side}>
          <Card title="Who would get it">
            {lacks ? <p className={css.quiet}>{lacks}</p> : <Preview draft={draft} />}
          </Card>
          {create.error && <Problem error={create.error} />}
          <Button type="submit" fullWidth disabled={lacks !== null} loading={create.isPending}>
            {draft.start === "now" && !draft.needsApproval
              ? "Start the rollout"
              : "Create the rollout"}
          </Button>
        </div>
      </form>
    </Page>
  );
}
