import type { Schemas } from "../../api/client";

export interface PhaseDraft {
  by: "percent" | "group";
  value: string;
}

/** A rollout that is being written; it is in the address, so that it can be passed on. */
export interface Draft {
  name: string;
  release: string;
  scope: "all" | "groups" | "devices";
  groups: string[];
  devices: string[];
  phases: PhaseDraft[];
  success: number;
  successMinimum: number;
  failure: number;
  failureMinimum: number;
  timeoutHours: number;
}

const initial: Draft = {
  name: "",
  release: "",
  scope: "all",
  groups: [],
  devices: [],
  phases: [
    { by: "percent", value: "10" },
    { by: "percent", value: "100" },
  ],
  success: 90,
  successMinimum: 1,
  failure: 10,
  failureMinimum: 1,
  timeoutHours: 0,
};

function number(text: string | null, otherwise: number): number {
  const value = text === null || text === "" ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : otherwise;
}

const names = (text: string | null) =>
  (text ?? "")
    .split(",")
    .filter((name) => name !== "")
    .map(decode);

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function readDraft(search: URLSearchParams): Draft {
  const groups = names(search.get("groups"));
  const devices = names(search.get("devices"));
  const phases = names(search.get("phases")).map(
    (text): PhaseDraft =>
      text.startsWith("group:")
        ? { by: "group", value: text.slice("group:".length) }
        : { by: "percent", value: text },
  );
  return {
    name: search.get("name") ?? initial.name,
    release: search.get("release") ?? initial.release,
    scope:
      devices.length > 0 || search.get("scope") === "devices"
        ? "devices"
        : groups.length > 0 || search.get("scope") === "groups"
          ? "groups"
          : "all",
    groups,
    devices,
    phases: phases.length > 0 ? phases : initial.phases,
    success: number(search.get("success"), initial.success),
    successMinimum: number(search.get("success_minimum"), initial.successMinimum),
    failure: number(search.get("failure"), initial.failure),
    failureMinimum: number(search.get("failure_minimum"), initial.failureMinimum),
    timeoutHours: number(search.get("timeout_hours"), initial.timeoutHours),
  };
}

export function writeDraft(draft: Draft): URLSearchParams {
  const search = new URLSearchParams();
  const list = (values: string[]) => values.map(encodeURIComponent).join(",");
  const note = (key: string, value: string | number, otherwise: string | number) => {
    if (value !== otherwise) search.set(key, String(value));
  };
  note("name", draft.name, "");
  note("release", draft.release, "");
  if (draft.scope !== "all") search.set("scope", draft.scope);
  if (draft.scope === "groups") note("groups", list(draft.groups), "");
  if (draft.scope === "devices") note("devices", list(draft.devices), "");
  const phases = ({ by, value }: PhaseDraft) => (by === "group" ? `group:${value}` : value);
  note("phases", list(draft.phases.map(phases)), list(initial.phases.map(phases)));
  note("success", draft.success, initial.success);
  note("success_minimum", draft.successMinimum, initial.successMinimum);
  note("failure", draft.failure, initial.failure);
  note("failure_minimum", draft.failureMinimum, initial.failureMinimum);
  note("timeout_hours", draft.timeoutHours, initial.timeoutHours);
  return search;
}

/** What is missing before the server can be asked; nothing when nothing is. */
export function missing(draft: Draft): string | null {
  if (!draft.release) return "Choose a release.";
  if (draft.scope === "groups" && draft.groups.length === 0) return "Choose a group.";
  if (draft.scope === "devices" && draft.devices.length === 0) return "Name a device.";
  if (draft.phases.length === 0) return "A rollout needs a phase.";
  for (const { by, value } of draft.phases) {
    if (by === "group" && !value) return "Choose the group of each phase.";
    const percent = Number(value);
    if (by === "percent" && !(Number.isInteger(percent) && percent >= 1 && percent <= 100)) {
      return "A phase reaches 1 to 100 per cent.";
    }
  }
  return null;
}

/** The draft as the server takes it. */
export function request(draft: Draft): Schemas["NewRollout"] {
  return {
    // A preview needs a name that is one; which, makes no difference to it.
    name: draft.name || "draft",
    release: draft.release,
    scope:
      draft.scope === "all"
        ? "all"
        : draft.scope === "groups"
          ? { groups: draft.groups }
          : { devices: draft.devices },
    phases: draft.phases.map(({ by, value }) =>
      by === "group" ? { group: value } : { percent: Number(value) },
    ),
    success_threshold: { percent: draft.success, minimum: draft.successMinimum },
    failure_threshold: { percent: draft.failure, minimum: draft.failureMinimum },
    ...(draft.timeoutHours > 0
      ? { device_timeout_seconds: Math.round(draft.timeoutHours * 3600) }
      : {}),
  };
}
