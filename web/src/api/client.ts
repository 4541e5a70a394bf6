import createClient from "openapi-fetch";
import { credentials, lost } from "../session/credentials";
import { ApiError, problemOf } from "./problem";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];

const changing = new Set(["POST", "PUT", "PATCH", "DELETE"]);

/** `fetch` as whoever has logged in; what the server refuses is thrown. */
export async function authorized(request: Request): Promise<Response> {
  const { token, csrfToken } = credentials();
  if (token) request.headers.set("Authorization", `Bearer ${token}`);
  else if (csrfToken && changing.has(request.method)) {
    request.headers.set("X-CSRF-Token", csrfToken);
  }
  const response = await fetch(request);
  if (response.ok) return response;
  if (response.status === 401) lost();
  throw new ApiError(await problemOf(response));
}

/** The client of `/api/v1`; its types are made from docs/openapi.json. */
export const api = createClient<paths>({
  baseUrl: typeof location === "undefined" ? "" : location.origin,
  fetch: authorized,
});

/** The body of an answer. Refusals were thrown before. */
export async function body<T>(answer: Promise<{ data?: T }>): Promise<T> {
  return (await answer).data as T;
}
