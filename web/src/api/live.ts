import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { createParser } from "eventsource-parser";
import { useEffect, useState } from "react";
import { authorized, type Schemas } from "./client";
import { ApiError } from "./problem";

export type Live = "connecting" | "open";

/** Changes come in bursts; what is shown is asked for anew this often at most. */
const GATHER_MS = 1000;
const SHORTEST_PAUSE_MS = 2000;
const LONGEST_PAUSE_MS = 30_000;

/** Which answers an event makes old: beginnings of query keys. */
export function outdated(
  event: Pick<Schemas["Event"], "kind" | "device" | "rollout" | "actor">,
): string[][] {
  const keys = [["events"]];
  const { kind, device, rollout, actor } = event;
  if (device) keys.push(["device", device], ["devices"], ["overview"]);
  if (rollout) keys.push(["rollout", rollout], ["rollouts"], ["overview"]);
  // What people do, and only that, is in the audit log.
  if (/^(user|token|cli):/.test(actor)) keys.push(["audit"]);
  if (kind.startsWith("group_")) keys.push(["groups"], ["group"], ["devices"], ["device"]);
  if (kind.startsWith("release_")) keys.push(["releases"], ["overview"]);
  if (kind.startsWith("image_") || kind === "metadata_expiring") keys.push(["keys"], ["status"]);
  if (/^rollout_(created|approved|denied|stopped)$/.test(kind)) keys.push(["approvals"]);
  if (kind.startsWith("alert_")) keys.push(["alerts"]);
  if (kind === "alert_rule_changed") keys.push(["alert-rules"]);
  if (kind === "subscription_changed") keys.push(["subscriptions"]);
  if (kind === "freeze_changed") keys.push(["freezes"], ["rollout"]);
  if (kind.startsWith("token_") || kind.startsWith("user_")) keys.push(["tokens"], ["users"]);
  return keys;
}

/** Follows the server's events for as long as the page is open, and says whether it hears them. */
export function useLive(): Live {
  const queries = useQueryClient();
  const [state, setState] = useState<Live>("connecting");
  useEffect(() => {
    const stop = new AbortController();
    follow(queries, stop.signal, setState);
    return () => stop.abort();
  }, [queries]);
  return state;
}

async function follow(
  queries: QueryClient,
  signal: AbortSignal,
  tell: (state: Live) => void,
): Promise<void> {
  const gathered = new Map<string, string[]>();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    timer = undefined;
    for (const queryKey of gathered.values()) queries.invalidateQueries({ queryKey });
    gathered.clear();
  };
  const note = (keys: string[][]) => {
    for (const key of keys) gathered.set(key.join("\0"), key);
    timer ??= setTimeout(flush, GATHER_MS);
  };
  let last: string | undefined;
  let pause = SHORTEST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      const headers: Record<string, string> = last ? { "Last-Event-ID": last } : {};
      const url = new URL("/api/v1/events/stream", location.origin);
      const response = await authorized(new Request(url, { headers, signal }));
      tell("open");
      pause = SHORTEST_PAUSE_MS;
      await read(response, (id, data) => {
        last = id ?? last;
        if (data) note(outdated(JSON.parse(data) as Schemas["Event"]));
      });
    } catch (error) {
      if (signal.aborted) break;
      // Nobody is logged in any more: then there is nothing to follow.
      if (error instanceof ApiError && error.status === 401) break;
    }
    tell("connecting");
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
  clearTimeout(timer);
}

async function read(
  response: Response,
  take: (id: string | undefined, data: string) => void,
): Promise<void> {
  const parser = createParser({ onEvent: ({ id, data }) => take(id, data) });
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  if (!reader) return;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    parser.feed(value);
  }
}
