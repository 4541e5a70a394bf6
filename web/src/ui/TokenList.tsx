import { useQueryClient } from "@tanstack/react-query";
import { api, type Schemas } from "../api/client";
import { coversScopes } from "../session/roles";
import { useSession } from "../session/SessionContext";
import { Confirm } from "./Confirm";
import css from "./ui.module.css";
import { When } from "./When";

/** API tokens; those that are good come first. */
export function TokenList({
  tokens,
  withOwner,
}: {
  tokens: Schemas["ApiToken"][];
  withOwner?: boolean;
}) {
  const session = useSession();
  const client = useQueryClient();
  if (tokens.length === 0) return <p className={css.quiet}>There is none.</p>;
  const isMine = (token: Schemas["ApiToken"]) =>
    session.kind === "user" && token.user === session.name;
  const sorted = [...tokens].sort(
    (a, b) =>
      Number(!!a.revoked_at) - Number(!!b.revoked_at) || b.created_at.localeCompare(a.created_at),
  );
  return (
    <ul className={css.list} aria-label="API tokens">
      {sorted.map((token) => (
        <li key={token.name} className={css.entry}>
          <div>
            <div className={css.row}>
              <b>{token.name}</b>
              {withOwner && <span>of {token.user ?? "the server"}</span>}
            </div>
            <p>
              may {token.scopes.join(", ")}
              {token.role && ` as ${token.role}`}
            </p>
            <p className={`${css.small} ${css.quiet}`}>
              made <When at={token.created_at} /> · <End token={token} />
            </p>
          </div>
          {!token.revoked_at && (isMine(token) || coversScopes(session.scopes, token.scopes)) && (
            <Confirm
              label="Revoke"
              title={`Revoke the token ${token.name}?`}
              danger
              action={() =>
                api.DELETE("/api/v1/tokens/{name}", { params: { path: { name: token.name } } })
              }
              done={() => client.invalidateQueries({ queryKey: ["tokens"] })}
            >
              Whatever shows it is refused from then on, and sessions that it began end. This cannot
              be taken back.
            </Confirm>
          )}
        </li>
      ))}
    </ul>
  );
}

function End({ token: { revoked_at, expires_at } }: { token: Schemas["ApiToken"] }) {
  if (revoked_at) {
    return (
      <>
        revoked <When at={revoked_at} />
      </>
    );
  }
  if (!expires_at) return <>good until it is revoked</>;
  const isOver = Date.parse(expires_at) <= Date.now();
  return (
    <>
      {isOver ? "was good until" : "good until"} <When at={expires_at} />
    </>
  );
}
