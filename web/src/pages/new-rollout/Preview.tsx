import { useDebouncedValue } from "@mantine/hooks";
import { keepPreviousData, useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { api, body, type Schemas } from "../../api/client";
import { Loading } from "../../ui/Empty";
import { deviceAt } from "../../ui/links";
import { Problem } from "../../ui/Problem";
import { bytes } from "../../ui/time";
import css from "../../ui/ui.module.css";
import { type Draft, request } from "./draft";
import own from "./new-rollout.module.css";
import { reasonsOf } from "./reasons";

const SAMPLE = 5;
const WAIT_MS = 300;

/** Asks the server, while somebody writes, which devices each phase would have, and which not. */
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
    data.items.filter(({ phase, state }) => phase === index && state !== "skipped"),
  );
  return (
    <div role="status" className={css.stack}>
      <p className={own.total}>
        <span className={css.number}>{data.devices.toLocaleString("en")}</span>{" "}
        {data.devices === 1 ? "device" : "devices"}
      </p>
      {data.devices === 0 && <p className={css.quiet}>Nobody would be told anything.</p>}
      <Size preview={data} />
      <ol className={css.list}>
        {phases.map((devices, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: phases have no other name
          <li key={index} className={own.previewPhase}>
            <b>
              Phase {index + 1}: {devices.length.toLocaleString("en")}
            </b>
            <Some devices={devices} />
          </li>
        ))}
      </ol>
      {data.current > 0 && (
        <p>
          <b>{data.current.toLocaleString("en")}</b> of them run it already.
        </p>
      )}
      <Reasons title="Not at once" items={data.items.filter(({ state }) => state === "waiting")} />
      <Reasons title="Left out" items={data.items.filter(({ state }) => state === "skipped")} />
      {data.unselected > 0 && (
        <p>
          <b>{data.unselected.toLocaleString("en")}</b> more are in no phase, and get nothing.
        </p>
      )}
    </div>
  );
}

function Size({ preview }: { preview: Schemas["RolloutPreview"] }) {
  const { bytes: count, bytes_unknown: unknown, devices } = preview;
  if (devices === 0) return null;
  return (
    <p className={css.quiet}>
      {count > 0 && `They fetch ${bytes(count)} at most. `}
      {unknown > 0 &&
        `For ${unknown.toLocaleString("en")} the size depends on what they have already.`}
    </p>
  );
}

function Reasons({ title, items }: { title: string; items: Schemas["RolloutDevice"][] }) {
  const reasons = reasonsOf(items);
  if (reasons.length === 0) return null;
  return (
    <div>
      <h3>{title}</h3>
      <ul className={css.list}>
        {reasons.map(({ reason, devices }) => (
          <li key={reason} className={own.previewPhase}>
            <span>
              <b>{devices.length.toLocaleString("en")}</b>: {reason}
            </span>
            <Some devices={devices} />
          </li>
        ))}
      </ul>
    </div>
  );
}

function Some({ devices }: { devices: Schemas["RolloutDevice"][] }) {
  return (
    <span className={css.quiet}>
      {devices.slice(0, SAMPLE).map(({ device }, at) => (
        <span key={device}>
          {at > 0 && ", "}
          <Link to={deviceAt(device)}>{device}</Link>
        </span>
      ))}
      {devices.length > SAMPLE && " …"}
    </span>
  );
}
