import { useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "../../api/client";
import * as queries from "../../api/queries";
import { Confirm } from "../../ui/Confirm";
import { Loading } from "../../ui/Empty";
import { Problem } from "../../ui/Problem";
import css from "../../ui/ui.module.css";
import { When } from "../../ui/When";

/** Where an account is logged in. */
export function Sessions({ name }: { name: string }) {
  const client = useQueryClient();
  const sessions = useQuery(queries.sessions(name));
  if (sessions.isPending) return <Loading />;
  if (!sessions.data) return <Problem error={sessions.error} retry={sessions.refetch} />;
  if (sessions.data.length === 0) return <p className={css.quiet}>There is none.</p>;
  return (
    <ul className={css.list} aria-label="Sessions">
      {sessions.data.map(({ id, created_at, used_at, current }) => (
        <li key={id} className={css.entry}>
          <div>
            <b>{current ? "This one" : "Another browser"}</b>
            <p className={`${css.small} ${css.quiet}`}>
              begun <When at={created_at} /> · used <When at={used_at} />
            </p>
          </div>
          {!current && (
            <Confirm
              label="End"
              title="End this session?"
              danger
              action={() =>
                api.DELETE("/api/v1/users/{name}/sessions/{id}", {
                  params: { path: { name, id } },
                })
              }
              done={() => client.invalidateQueries({ queryKey: ["users", name] })}
            >
              Whoever uses it has to log in again.
            </Confirm>
          )}
        </li>
      ))}
    </ul>
  );
}
