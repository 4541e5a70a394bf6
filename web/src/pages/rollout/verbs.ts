import type { Schemas } from "../../api/client";
import { allows, type Session } from "../../session/login";

export type Verb =
  | "approve"
  | "deny"
  | "start"
  | "pause"
  | "resume"
  | "advance"
  | "retry"
  | "rollback"
  | "stop";

type Rollout = Pick<Schemas["Rollout"], "state" | "counts" | "created_by" | "current_phase"> & {
  phases: readonly unknown[];
};

/** Whether somebody made a rollout, and so cannot approve of it. */
export function isOwn(rollout: Pick<Rollout, "created_by">, who: Session): boolean {
  return rollout.created_by === `${who.kind}:${who.name}`;
}

/** What somebody may do with a rollout as it stands; the server decides all the same. */
export function verbsFor(rollout: Rollout, who: Session): Verb[] {
  const { state, counts } = rollout;
  const mayOperate = allows(who.scopes, "operate");
  const verbs: Verb[] = [];
  const mayDecide = mayOperate || allows(who.scopes, "approve");
  if (state === "waiting_for_approval" && mayDecide && !isOwn(rollout, who)) {
    verbs.push("approve", "deny");
  }
  if (!mayOperate) return verbs;
  if (state === "ready" || state === "scheduled") verbs.push("start");
  if (state === "running") verbs.push("pause");
  const hasNext = rollout.current_phase + 1 < rollout.phases.length;
  if (state === "running" && hasNext) verbs.push("advance");
  if (state === "paused") verbs.push("resume");
  const hasBegun = ["running", "paused", "finished", "stopped"].includes(state);
  const again = counts.failed + (state === "stopped" ? counts.cancelled : 0);
  if (hasBegun && again > 0) verbs.push("retry");
  if (hasBegun && counts.succeeded + counts.started > 0) verbs.push("rollback");
  if (!["denied", "finished", "stopped", "rolled_back"].includes(state)) verbs.push("stop");
  return verbs;
}
