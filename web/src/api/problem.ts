/** What the server says when it refuses something (RFC 9457). */
export interface Problem {
  title: string;
  status: number;
  detail: string;
  kind: string;
  code?: string;
  hint?: string;
}

/** A request that did not give what was asked for. */
export class ApiError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.name = "ApiError";
    this.problem = problem;
  }

  get status(): number {
    return this.problem.status;
  }
}

/** Reads a refusal; an answer of something else, such as a proxy, becomes one too. */
export async function problemOf(response: Response): Promise<Problem> {
  const text = await response.text().catch(() => "");
  try {
    const body = JSON.parse(text) as Partial<Problem>;
    if (typeof body.detail === "string") {
      return {
        title: body.title ?? response.statusText,
        status: body.status ?? response.status,
        detail: body.detail,
        kind: body.kind ?? "bug",
        code: body.code,
        hint: body.hint,
      };
    }
  } catch {
    // Not JSON: told below.
  }
  return {
    title: response.statusText || "Error",
    status: response.status,
    detail: `The server answered ${response.status} without saying why.`,
    kind: "unavailable",
    hint: "Something between here and the server may have answered in its place.",
  };
}

/** Any error as something that can be shown. */
export function asProblem(error: unknown): Problem {
  if (error instanceof ApiError) return error.problem;
  if (error instanceof TypeError) {
    return {
      title: "The server cannot be reached",
      status: 0,
      detail: error.message,
      kind: "unavailable",
      hint: "Look whether updraft-server runs and whether this machine reaches it; it is tried again by itself.",
    };
  }
  return {
    title: "Something went wrong in the dashboard",
    status: 0,
    detail: error instanceof Error ? error.message : String(error),
    kind: "bug",
  };
}
