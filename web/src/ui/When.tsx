import { useSyncExternalStore } from "react";
import { exact, relative } from "./time";

let now = Date.now();
const listeners = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = Date.now();
    for (const each of listeners) each();
  }, 15_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size === 0) {
      clearInterval(timer);
      timer = undefined;
    }
  };
}

/** A time: how long ago, and the moment itself for who points at it. */
export function When({ at, none = "never" }: { at: string | null | undefined; none?: string }) {
  const current = useSyncExternalStore(subscribe, () => now);
  if (!at) return <>{none}</>;
  const moment = new Date(at);
  // What is newer than the last tick has happened now.
  const reference = new Date(Math.max(current, Math.min(moment.getTime(), Date.now())));
  return (
    <time dateTime={at} title={exact(moment)}>
      {relative(moment, reference)}
    </time>
  );
}
