import type { Schemas } from "../api/client";

export type EventKind = Schemas["EventKind"];
type Subject = "alerts" | "rollouts" | "devices" | "releases" | "people";

/** What each kind of event is about. A kind that the server has and this list lacks is a type error. */
const subjects: Record<Exclude<EventKind, "other">, Subject> = {
  alert_fired: "alerts",
  alert_resolved: "alerts",
  alert_acknowledged: "alerts",
  alert_rule_changed: "alerts",
  rollout_created: "rollouts",
  rollout_approved: "rollouts",
  rollout_denied: "rollouts",
  rollout_begun: "rollouts",
  rollout_paused: "rollouts",
  rollout_resumed: "rollouts",
  rollout_retried: "rollouts",
  rollout_phase_started: "rollouts",
  rollout_stopped: "rollouts",
  rollout_rolling_back: "rollouts",
  rollout_rolled_back: "rollouts",
  rollout_finished: "rollouts",
  device_assigned: "rollouts",
  assignment_started: "rollouts",
  assignment_succeeded: "rollouts",
  assignment_failed: "rollouts",
  assignment_cancelled: "rollouts",
  assignment_withdrawn: "rollouts",
  assignment_retried: "rollouts",
  assignment_rolled_back: "rollouts",
  rollback_failed: "rollouts",
  freeze_changed: "rollouts",
  campaign_changed: "rollouts",
  device_registered: "devices",
  components_registered: "devices",
  image_changed: "devices",
  image_unexpected: "devices",
  install_reported: "devices",
  report_unreadable: "devices",
  manifest_refused: "devices",
  attack_reported: "devices",
  device_report: "devices",
  device_revoked: "devices",
  device_deleted: "devices",
  device_log_requested: "devices",
  device_log_received: "devices",
  device_pinned: "devices",
  device_unpinned: "devices",
  group_created: "devices",
  group_changed: "devices",
  group_deleted: "devices",
  release_created: "releases",
  encrypted_image_changed: "releases",
  software_changed: "releases",
  image_metadata_accepted: "releases",
  image_metadata_refused: "releases",
  image_keys_changed: "releases",
  metadata_expiring: "releases",
  offline_updates_signed: "releases",
  ref_updated: "releases",
  token_created: "people",
  token_revoked: "people",
  user_changed: "people",
  subscription_changed: "people",
  subscription_tested: "people",
  configuration_changed: "people",
  backup_restored: "people",
};

const titles: Record<Subject, string> = {
  alerts: "Alerts",
  rollouts: "Rollouts",
  devices: "Devices and groups",
  releases: "Releases and keys",
  people: "People and settings",
};

export const eventKinds = Object.keys(subjects) as Exclude<EventKind, "other">[];

export function kindInWords(kind: string): string {
  return kind.replaceAll("_", " ");
}

/** All kinds for a field to choose from, by what they are about. */
export const kindChoices = (Object.keys(titles) as Subject[]).map((subject) => ({
  group: titles[subject],
  items: eventKinds
    .filter((kind) => subject === subjects[kind as keyof typeof subjects])
    .map((value) => ({ value, label: kindInWords(value) })),
}));
