import {
  IconAlertOctagon,
  IconAlertTriangle,
  IconArrowBackUp,
  IconBan,
  IconCircleCheck,
  IconCircleDashed,
  IconClock,
  IconCloudDownload,
  IconPlayerPause,
  IconPlayerPlay,
  IconPlayerStop,
  type IconProps,
  IconUserQuestion,
} from "@tabler/icons-react";
import type { ComponentType } from "react";

export type Tone = "good" | "busy" | "wait" | "bad" | "warn";

interface Shown {
  label: string;
  tone: Tone;
  icon: ComponentType<IconProps>;
}

const shown: Record<string, Shown> = {
  // Devices.
  registered: { label: "registered", tone: "wait", icon: IconCircleDashed },
  idle: { label: "idle", tone: "good", icon: IconCircleCheck },
  assigned: { label: "assigned", tone: "busy", icon: IconClock },
  updating: { label: "updating", tone: "busy", icon: IconCloudDownload },
  failed: { label: "failed", tone: "bad", icon: IconAlertTriangle },
  revoked: { label: "revoked", tone: "wait", icon: IconBan },
  // What devices were asked for.
  requested: { label: "requested", tone: "wait", icon: IconClock },
  received: { label: "received", tone: "good", icon: IconCircleCheck },
  // Rollouts and their phases and devices.
  running: { label: "running", tone: "busy", icon: IconPlayerPlay },
  paused: { label: "paused", tone: "warn", icon: IconPlayerPause },
  finished: { label: "finished", tone: "good", icon: IconCircleCheck },
  stopped: { label: "stopped", tone: "bad", icon: IconPlayerStop },
  waiting: { label: "waiting", tone: "wait", icon: IconCircleDashed },
  started: { label: "started", tone: "busy", icon: IconCloudDownload },
  succeeded: { label: "succeeded", tone: "good", icon: IconCircleCheck },
  cancelled: { label: "cancelled", tone: "wait", icon: IconBan },
  skipped: { label: "skipped", tone: "wait", icon: IconBan },
  waiting_for_approval: { label: "waiting for approval", tone: "warn", icon: IconUserQuestion },
  denied: { label: "denied", tone: "bad", icon: IconBan },
  ready: { label: "waiting to be started", tone: "wait", icon: IconCircleDashed },
  scheduled: { label: "scheduled", tone: "wait", icon: IconClock },
  rolling_back: { label: "rolling back", tone: "warn", icon: IconArrowBackUp },
  rolled_back: { label: "rolled back", tone: "warn", icon: IconArrowBackUp },
  rollback_failed: { label: "rollback failed", tone: "bad", icon: IconAlertTriangle },
  // Alerts.
  warning: { label: "warning", tone: "warn", icon: IconAlertTriangle },
  critical: { label: "critical", tone: "bad", icon: IconAlertOctagon },
  // The audit log.
  done: { label: "done", tone: "good", icon: IconCircleCheck },
  refused: { label: "refused", tone: "bad", icon: IconBan },
};

/** How a state is shown; one that a newer server has is shown by its own name. */
export function stateShown(state: string): Shown {
  return (
    shown[state] ?? { label: state.replaceAll("_", " "), tone: "wait", icon: IconCircleDashed }
  );
}
