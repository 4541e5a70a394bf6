import { Button } from "@mantine/core";
import { IconTrash } from "@tabler/icons-react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api, body, type Schemas } from "../../api/client";
import * as queries from "../../api/queries";
import { Confirm } from "../../ui/Confirm";
import { Empty, Loading } from "../../ui/Empty";
import { kindInWords } from "../../ui/kinds";
import { Once } from "../../ui/Once";
import { Card } from "../../ui/Page";
import { Problem } from "../../ui/Problem";
import { State } from "../../ui/State";
import css from "../../ui/ui.module.css";
import { When } from "../../ui/When";
import { NewSubscription } from "./NewSubscription";

/** Programs and people that the server tells of events. */
export function Subscriptions() {
  const { data, error, refetch } = useQuery(queries.subscriptions);
  const [secret, setSecret] = useState<string>();
  const client = useQueryClient();
  const refresh = () => client.invalidateQueries({ queryKey: ["subscriptions"] });
  if (error && !data) return <Problem error={error} retry={refetch} />;
  if (!data) return <Loading />;
  const made = (created: Schemas["CreatedSubscription"]) => {
    setSecret(created.secret ?? undefined);
    refresh();
  };
  return (
    <Card
      title="Who is told"
      aside={<NewSubscription taken={data.items.map(({ name }) => name)} made={made} />}
    >
      <Once title="The webhook's secret" secret={secret} onClose={() => setSecret(undefined)}>
        The receiver checks with it that events come from this server, by a library of Standard
        Webhooks. It is shown now and never again.
      </Once>
      {data.items.length === 0 && (
        <Empty
          title="Nobody is told yet"
          command="updraft subscription add ops --email ops@example.com --event alert_fired"
        >
          A webhook gets each event as a signed request, a mailbox gets what happened since the last
          mail. Where the server may send is in its configuration, under{" "}
          <code>[notifications]</code>.
        </Empty>
      )}
      <ul className={css.list}>
        {data.items.map((subscription) => (
          <li key={subscription.name} className={css.entry}>
            <Entry subscription={subscription} />
            <Trial name={subscription.name} />
            <Confirm
              label="Delete"
              title={`Delete ${subscription.name}?`}
              danger
              icon={<IconTrash size={16} aria-hidden />}
              action={() =>
                api.DELETE("/api/v1/subscriptions/{name}", {
                  params: { path: { name: subscription.name } },
                })
              }
              done={refresh}
            >
              It is told nothing more, also not of what it has not heard yet.
            </Confirm>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function Entry({ subscription }: { subscription: Schemas["Subscription"] }) {
  const { name, target, events, told_at, failures, last_error, next_attempt_at } = subscription;
  return (
    <div>
      <div className={css.row}>
        <b>{name}</b>
        {failures > 0 ? <State of="failed" label="not heard" /> : <State of="idle" label="hears" />}
      </div>
      <p>
        {"webhook" in target ? "Webhook to " : "Mail to "}
        <code>{"webhook" in target ? target.webhook.url : target.email.address}</code>
      </p>
      <p className={css.quiet}>
        {events.length === 0 ? "every event" : events.map(kindInWords).join(", ")}
        {" · "}
        last told <When at={told_at} />
      </p>
      {failures > 0 && (
        <p>
          Tried {failures === 1 ? "once" : `${failures} times`} in vain: {last_error}. Again{" "}
          <When at={next_attempt_at} none="soon" />; nothing is left out.
        </p>
      )}
    </div>
  );
}

/** Sends a trial to a subscription, and says whether it was heard. */
function Trial({ name }: { name: string }) {
  const trial = useMutation({
    mutationFn: () =>
      body(api.POST("/api/v1/subscriptions/{name}/test", { params: { path: { name } } })),
  });
  return (
    <div>
      <Button
        variant="default"
        size="xs"
        loading={trial.isPending}
        onClick={() => trial.mutate()}
        aria-label={`Try ${name}`}
      >
        Try
      </Button>
      {trial.error && <Problem error={trial.error} />}
      {trial.data && <p role="status">{trial.data.problem ?? "It was heard."}</p>}
    </div>
  );
}
