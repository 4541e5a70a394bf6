import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ApiError } from "../../api/problem";
import * as queries from "../../api/queries";
import { Loading } from "../../ui/Empty";
import { Problem } from "../../ui/Problem";
import css from "../../ui/ui.module.css";

/** The configuration that a device reported, read when somebody wants to see it. */
export function Configuration({ id }: { id: string }) {
  const [open, setOpen] = useState(false);
  const { data, error } = useQuery({ ...queries.deviceConfiguration(id), enabled: open });
  const isMissing = error instanceof ApiError && error.problem.status === 404;
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>Configuration</summary>
      {isMissing && <p className={css.quiet}>It has sent none.</p>}
      {error && !isMissing && <Problem error={error} />}
      {open && data === undefined && !error && <Loading />}
      {data !== undefined && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
        <pre className={css.pre} tabIndex={0}>
          {data}
        </pre>
      )}
    </details>
  );
}
