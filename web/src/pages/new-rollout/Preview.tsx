import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { api, body } from "../../api/client";
import { Loading } from "../../ui/Empty";
import { deviceAt } from "../../ui/links";
import { Problem } from "../../ui/Problem";
import css from "../../ui/ui.module.css";
import { type Draft, request } from "./draft";
import own from "./new-rollout.module.css";

const SAMPLE = 5;
const WAIT_MS = 300;

/** Asks the server, while somebody writes, which devices each phase would have. */
export function Preview({ draft }: { draft: Draft }) {
  // The name makes no difference to who gets it; without it, typing one asks for nothing.
  const text = JSON.stringify(request({ ...draft, name: "" }));
  const [asked] = useDebouncedValue(text, WAIT_MS);
  const { data, error } = useQuery({
    queryKey: ["preview", asked],
    queryFn: ({ signal }) =>
      body(api.POST("/api/v1/rollouts/preview", { body: JSON.parse(asked), signal })),
    placeholderData: keepPreviousData,
    staleTime: 0,
  });
  if (error) return <Problem error={error} />;
  if (!data) return <Loading />;
  const phases = draft.phases.map((_, index) =>
    data.items.filter((device) => device.phase === index),
  );
  return (
    <div role="status" className={css.stack}>
      <p className={own.total}>
        <span className={css.number}>{data.items.length.toLocaleString("en")}</span>{" "}
        {data.items.length === 1 ? "device" : "devices"}
      </p>
      {data.items.length === 0 && (
        <p className={css.quiet}>
          Nobody. Nothing in the release fits the hardware of these devices, or there are none.
        </p>
      )}
      <ol className={css.list}>
        {phases.map((devices, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: phases have no other name
          <li key={index} className={own.previewPhase}>
            <b>
              Phase {index + 1}: {devices.length.toLocaleString("en")}
            </b>
            <span className={css.quiet}>
              {devices.slice(0, SAMPLE).map(({ device }, at) => (
                <span key={device}>
                  {at > 0 && ", "}
                  <Link to={deviceAt(device)}>{device}</Link>
                </span>
              ))}
              {devices.length > SAMPLE && " …"}
            </span>
          </li>
        ))}
      </ol>
    </div>
  );
}
