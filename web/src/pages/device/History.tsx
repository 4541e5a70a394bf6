import { Button } from "@mantine/core";
import { useInfiniteQuery } from "@tanstack/react-query";
import { type EventQuery, eventsBefore } from "../../api/queries";
import { Loading } from "../../ui/Empty";
import { EventList } from "../../ui/EventList";
import { Card } from "../../ui/Page";
import { Problem } from "../../ui/Problem";
import css from "../../ui/ui.module.css";

/** Pages of events, the newest first. */
export function useEvents(query: EventQuery, limit = 50) {
  return useInfiniteQuery({
    queryKey: ["events", "pages", query],
    queryFn: ({ pageParam, signal }) => eventsBefore(query, pageParam, limit, signal),
    initialPageParam: "",
    getNextPageParam: (page) => page.next ?? undefined,
  });
}

/** What happened to a device, each report included. */
export function History({ id }: { id: string }) {
  const events = useEvents({ device: id }, 25);
  const items = events.data?.pages.flatMap((page) => page.items) ?? [];
  return (
    <Card title="History" wide>
      {events.error && !events.data && (
        <Problem error={events.error} retry={() => events.refetch()} />
      )}
      {events.isPending && <Loading />}
      {events.data && items.length === 0 && <p className={css.quiet}>Nothing has happened.</p>}
      <EventList events={items} without="device" />
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
  );
}
