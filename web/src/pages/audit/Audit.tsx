import { Button, NativeSelect, TextInput } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { type FormEvent, useEffect, useState } from "react";
import { useSearchParams } from "react-router";
import { useMay } from "../../session/SessionContext";
import { Empty, Loading } from "../../ui/Empty";
import { Card, Page } from "../../ui/Page";
import { Problem } from "../../ui/Problem";
import { fromLocalInput, toLocalInput } from "../../ui/time";
import css from "../../ui/ui.module.css";
import { Entries } from "./Entries";
import { Export } from "./Export";
import { type AuditSearch, everything, filterOf, periods, readSearch, writeSearch } from "./filter";
import { entriesUpTo, readFromServer } from "./reading";
import { Verify } from "./Verify";

export default function Audit() {
  const may = useMay();
  const [search, setSearch] = useSearchParams();
  const wanted = readSearch(search);
  if (!may("audit")) {
    return (
      <Page title="Audit log">
        <Empty title="This is for auditors">
          The audit log needs the scope <code>audit</code>, which you do not have. What devices and
          people did is among the events, too.
        </Empty>
      </Page>
    );
  }
  return (
    <Page
      title="Audit log"
      about="What people and programs changed or were refused: appended, and chained by hashes"
      actions={
        <>
          <Verify />
          <Export search={wanted} />
        </>
      }
    >
      <Filter
        wanted={wanted}
        onChange={(next) => setSearch(writeSearch(next), { replace: true })}
      />
      <Log wanted={wanted} />
    </Page>
  );
}

function Filter({
  wanted,
  onChange,
}: {
  wanted: AuditSearch;
  onChange: (wanted: AuditSearch) => void;
}) {
  const [typed, setTyped] = useState(wanted);
  const { actor, action, object, period, from, to } = wanted;
  useEffect(
    () => setTyped({ actor, action, object, period, from, to }),
    [actor, action, object, period, from, to],
  );
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onChange({
      ...typed,
      actor: typed.actor.trim(),
      action: typed.action.trim(),
      object: typed.object.trim(),
    });
  };
  const field = (key: "actor" | "action" | "object", label: string, placeholder: string) => (
    <TextInput
      label={label}
      placeholder={placeholder}
      value={typed[key]}
      onChange={(event) => setTyped({ ...typed, [key]: event.currentTarget.value })}
      autoComplete="off"
      spellCheck={false}
      data-search={key === "actor" || undefined}
    />
  );
  const moment = (key: "from" | "to", label: string) => (
    <TextInput
      type="datetime-local"
      label={label}
      value={toLocalInput(typed[key])}
      onChange={(event) => setTyped({ ...typed, [key]: fromLocalInput(event.currentTarget.value) })}
    />
  );
  return (
    <search>
      <form className={css.fields} onSubmit={submit}>
        {field("actor", "Who, exactly", "user:anna")}
        {field("action", "Action, exactly", "change a group")}
        {field("object", "To what, a part of it", "/groups/lab")}
        <NativeSelect
          label="When"
          data={periods.map(({ value, label }) => ({ value, label }))}
          value={typed.period}
          onChange={(event) => onChange({ ...typed, period: event.currentTarget.value })}
        />
        {typed.period === "range" && (
          <>
            {moment("from", "From")}
            {moment("to", "Until")}
          </>
        )}
        <div className={css.row}>
          <Button type="submit" variant="default">
            Show
          </Button>
          {writeSearch(wanted).length > 0 && (
            <Button variant="subtle" onClick={() => onChange(everything)}>
              Clear
            </Button>
          )}
        </div>
      </form>
    </search>
  );
}

function Log({ wanted }: { wanted: AuditSearch }) {
  const log = useInfiniteQuery({
    queryKey: ["audit", wanted],
    queryFn: ({ pageParam, signal }) => {
      const now = Date.now();
      return entriesUpTo(readFromServer(signal), filterOf(wanted, now), pageParam, now);
    },
    initialPageParam: undefined as number | undefined,
    getNextPageParam: (part) => part.next,
  });
  const items = log.data?.pages.flatMap((part) => part.items) ?? [];
  const onlyFrom = (actor: string) => `?${new URLSearchParams(writeSearch({ ...wanted, actor }))}`;
  return (
    <Card>
      {log.error && !log.data && <Problem error={log.error} retry={() => log.refetch()} />}
      {log.isPending && <Loading />}
      {log.data && items.length === 0 && (
        <p className={css.quiet}>
          {log.hasNextPage ? "Nothing of the sort so far." : "Nothing of the sort."}
        </p>
      )}
      <Entries entries={items} onlyFrom={onlyFrom} />
      {log.hasNextPage && (
        <Button
          variant="default"
          loading={log.isFetchingNextPage}
          onClick={() => log.fetchNextPage()}
        >
          Look at older ones
        </Button>
      )}
    </Card>
  );
}
