import { useQueryClient } from "@tanstack/react-query";
import { api, type Schemas } from "../api/client";
import { coversScopes } from "../session/roles";
import { useSession } from "../session/SessionContext";
import { Confirm } from "./Confirm";
import { Scroll } from "./Scroll";
import css from "./ui.module.css";
import { When } from "./When";

/** API tokens; those that are good come first. */
export function TokenTable({
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
    <Scroll label="API tokens">
      <table className={css.table}>
        <thead>
          <tr>
            <th scope="col">Token</th>
            {withOwner && <th scope="col">Of</th>}
            <th scope="col">May</th>
            <th scope="col">Made</th>
            <th scope="col">Good until</th>
            <th scope="col">Actions</th>
          </tr>
        </thead>
        <tbody>
          {sorted.map((token) => (
            <tr key={token.name}>
              <td>
                <b>{token.name}</b>
              </td>
              {withOwner && <td>{token.user ?? "the server"}</td>}
              <td>
                {token.scopes.join(", ")}
                {token.role && ` as ${token.role}`}
              </td>
              <td>
                <When at={token.created_at} />
              </td>
              <td>
                {token.revoked_at ? (
                  <>
                    revoked <When at={token.revoked_at} />
                  </>
                ) : (
                  <When at={token.expires_at} none="it is revoked" />
                )}
              </td>
              <td>
                {!token.revoked_at &&
                  (isMine(token) || coversScopes(session.scopes, token.scopes)) && (
                    <Confirm
                      label="Revoke"
                      title={`Revoke the token ${token.name}?`}
                      danger
                      action={() =>
                        api.DELETE("/api/v1/tokens/{name}", {
                          params: { path: { name: token.name } },
                        })
                      }
                      done={() => client.invalidateQueries({ queryKey: ["tokens"] })}
                    >
                      Whatever shows it is refused from then on, and sessions that it began end.
                      This cannot be taken back.
                    </Confirm>
                  )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}
