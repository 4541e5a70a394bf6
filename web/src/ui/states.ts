import {
  IconAlertTriangle,
  IconBan,
  IconCircleCheck,
  IconCircleDashed,
  IconClock,
  IconCloudDownload,
  IconPlayerPause,
  IconPlayerPlay,
  IconPlayerStop,
  type IconProps,
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
};

/** How a state is shown; one that a newer server has is shown by its own name. */
export function stateShown(state: string): Shown {
  return (
    shown[state] ?? { label: state.replaceAll("_", " "), tone: "wait", icon: IconCircleDashed }
  );
}
