import { ApiError, problemOf } from "../api/problem";
import type { components } from "../api/schema";
import { setCredentials } from "./credentials";

export type Scope = components["schemas"]["Scope"];

/** Who has logged in, and what they may do. */
export interface Session {
  name: string;
  kind: "user" | "token";
  scopes: Scope[];
  expiresAt?: string;
}

export type Login = { user: string; password: string; oneTimeCode?: string } | { token: string };

const SESSION = "/api/v1/session";

interface SessionBody {
  name: string;
  kind: "user" | "token";
  scopes: Scope[];
  csrf_token: string;
  expires_at?: string;
}

/** What the provider of identities is called, if there is one to log in with. */
export async function providerName(): Promise<string | null> {
  const response = await fetch(`${SESSION}/ways`, { headers: { accept: "application/json" } });
  // A server that does not know the question has none.
  if (!response.ok) return null;
  return ((await response.json()) as components["schemas"]["LoginWays"]).oidc ?? null;
}

/** Where a login by the provider begins; it comes back to this page. */
export function providerLogin(page: Location): string {
  const next = new URLSearchParams(page.search);
  next.delete("problem");
  const query = next.size > 0 ? `?${next}` : "";
  return `${SESSION}/oidc?${new URLSearchParams({ next: page.pathname + query })}`;
}

const refusals: Record<string, string> = {
  identity_refused: "The provider knows you, but you are in no group that may work here.",
  login_not_begun: "The login took too long, or was begun in another browser. Try once more.",
  user_exists: "Somebody else has an account of your name here. An administrator can help.",
  user_disabled: "Your account is disabled.",
};

/** What went wrong with a login by the provider, in words. */
export function refusal(search: string): string | null {
  const code = new URLSearchParams(search).get("problem");
  if (!code) return null;
  return refusals[code] ?? "The provider could not be asked. The server's log says why.";
}

/** Whether somebody with these scopes may do what needs `needed`. The server decides all the same. */
export function allows(scopes: readonly Scope[], needed: Scope): boolean {
  return needed === "read" || scopes.includes("admin") || scopes.includes(needed);
}

/** Who is logged in already, if anybody is; and whether the server knows users at all. */
export async function resume(): Promise<{ session: Session | null; hasUsers: boolean }> {
  const response = await fetch(SESSION, { headers: { accept: "application/json" } });
  const hasUsers = hasSessions(response);
  if (response.status === 401 || !hasUsers) return { session: null, hasUsers };
  if (!response.ok) throw new ApiError(await problemOf(response));
  return { session: taken((await response.json()) as SessionBody), hasUsers };
}

export async function logIn(login: Login): Promise<Session> {
  const body =
    "token" in login
      ? { token: login.token }
      : {
          user: login.user,
          password: login.password,
          ...(login.oneTimeCode ? { one_time_code: login.oneTimeCode } : {}),
        };
  const response = await fetch(SESSION, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (response.ok) return taken((await response.json()) as SessionBody);
  if (!hasSessions(response) && "token" in login) return byToken(login.token);
  throw new ApiError(await problemOf(response));
}

export async function logOut(csrfToken: string | undefined): Promise<void> {
  setCredentials({});
  if (csrfToken) {
    await fetch(SESSION, { method: "DELETE", headers: { "X-CSRF-Token": csrfToken } });
  }
}

/** Whether the server that answered so knows sessions. */
function hasSessions(response: Response): boolean {
  return response.status !== 404 && response.status !== 405;
}

function taken(body: SessionBody): Session {
  setCredentials({ csrfToken: body.csrf_token });
  return { name: body.name, kind: body.kind, scopes: body.scopes, expiresAt: body.expires_at };
}

/** A server without sessions: the token goes along with each request, and is gone with the page. */
async function byToken(token: string): Promise<Session> {
  const response = await fetch("/api/v1/status", { headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw new ApiError(await problemOf(response));
  const status = (await response.json()) as { token: string; scopes: Scope[] };
  setCredentials({ token });
  return { name: status.token, kind: "token", scopes: status.scopes };
}
