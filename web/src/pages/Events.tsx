import { Button, Select, TextInput } from "@mantine/core";
import { type FormEvent, useEffect, useState } from "react";
import { useSearchParams } from "react-router";
import { Loading } from "../ui/Empty";
import { EventList } from "../ui/EventList";
import { eventKinds, kindChoices } from "../ui/kinds";
import { Card, Page } from "../ui/Page";
import { Problem } from "../ui/Problem";
import css from "../ui/ui.module.css";
import { useEvents } from "./device/History";

export default function Events() {
  const [search, setSearch] = useSearchParams();
  const kind = eventKinds.find((known) => known === search.get("kind"));
  const device = search.get("device") ?? undefined;
  const [typed, setTyped] = useState(device ?? "");
  useEffect(() => setTyped(device ?? ""), [device]);
  const events = useEvents({ kind, device });
  const items = events.data?.pages.flatMap((page) => page.items) ?? [];
  const change = (next: { kind?: string | null; device?: string }) => {
    const wanted = { kind, device, ...next };
    const params = Object.entries(wanted).filter((pair): pair is [string, string] => !!pair[1]);
    setSearch(params, { replace: true });
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    change({ device: typed.trim() });
  };
  return (
    <Page
      title="Events"
      about="What people, devices and the server did: appended, and never changed"
    >
      <search>
        <form className={css.row} onSubmit={submit}>
          <Select
            aria-label="Kind of events"
            placeholder="Every kind"
            data={kindChoices}
            value={kind ?? null}
            onChange={(next) => change({ kind: next })}
            clearable
            clearButtonProps={{ "aria-label": "Show every kind" }}
            searchable
          />
          <TextInput
            aria-label="Events of a device"
            placeholder="Id of a device"
            value={typed}
            onChange={(event) => setTyped(event.currentTarget.value)}
            data-search
            autoComplete="off"
          />
          <Button type="submit" variant="default">
            Show
          </Button>
        </form>
      </search>
      <Card>
        {events.error && !events.data && (
          <Problem error={events.error} retry={() => events.refetch()} />
        )}
        {events.isPending && <Loading />}
        {events.data && items.length === 0 && <p className={css.quiet}>Nothing of the sort.</p>}
        <EventList events={items} />
        {events.hasNextPage && (
          <Button
            variant="default"
            loading={events.isFetchingNextPage}
            onClick={() => events.fetchNextPage()}
          >
            Show older ones
          </Button>
        )}
      </Card>
    </Page>
  );
}
