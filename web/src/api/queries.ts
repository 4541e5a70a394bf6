import { keepPreviousData, queryOptions } from "@tanstack/react-query";
import { api, body, type Schemas } from "./client";

/** When devices were seen changes without an event; what shows it is asked for anew this often. */
const SEEN_MS = 30_000;
/** The most items of a list that the dashboard reads in one go. */
const WHOLE = 1000;

export const overview = queryOptions({
  queryKey: ["overview"],
  refetchInterval: SEEN_MS,
  queryFn: ({ signal }) => body(api.GET("/api/v1/overview", { signal })),
});

export const status = queryOptions({
  queryKey: ["status"],
  queryFn: ({ signal }) => body(api.GET("/api/v1/status", { signal })),
});

export interface DeviceQuery {
  filter?: string;
  group?: string;
  sort?: string;
  skip?: number;
  limit?: number;
}

export const devices = (query: DeviceQuery) =>
  queryOptions({
    queryKey: ["devices", query],
    refetchInterval: SEEN_MS,
    queryFn: ({ signal }) => body(api.GET("/api/v1/devices", { params: { query }, signal })),
  });

export const device = (id: string) =>
  queryOptions({
    queryKey: ["device", id],
    refetchInterval: SEEN_MS,
    queryFn: ({ signal }) =>
      body(api.GET("/api/v1/devices/{id}", { params: { path: { id } }, signal })),
  });

export const deviceLogs = (id: string) =>
  queryOptions({
    queryKey: ["device", id, "logs"],
    queryFn: ({ signal }) =>
      body(api.GET("/api/v1/devices/{id}/logs", { params: { path: { id } }, signal })),
  });

/** What came once stays. */
export const deviceLog = (id: string, log: number) =>
  queryOptions({
    queryKey: ["device-log", id, log],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: ({ signal }) =>
      body(
        api.GET("/api/v1/devices/{id}/logs/{log}", {
          params: { path: { id, log } },
          parseAs: "text",
          signal,
        }),
      ),
  });

export const deviceConfiguration = (id: string) =>
  queryOptions({
    queryKey: ["device", id, "configuration"],
    retry: false,
    queryFn: ({ signal }) =>
      body(
        api.GET("/api/v1/devices/{id}/configuration", {
          params: { path: { id } },
          parseAs: "text",
          signal,
        }),
      ),
  });

export interface EventQuery {
  device?: string;
  rollout?: string;
  kind?: Schemas["EventKind"];
}

/** One page of what happened, the newest first, before an event. */
export function eventsBefore(
  query: EventQuery,
  before: string,
  limit: number,
  signal?: AbortSignal,
) {
  return body(
    api.GET("/api/v1/events", { params: { query: { ...query, before, limit } }, signal }),
  );
}

export const newestEvents = (query: EventQuery, limit: number) =>
  queryOptions({
    queryKey: ["events", "newest", query, limit],
    queryFn: ({ signal }) => eventsBefore(query, "", limit, signal),
  });

export const groups = queryOptions({
  queryKey: ["groups"],
  queryFn: ({ signal }) =>
    body(api.GET("/api/v1/groups", { params: { query: { limit: WHOLE } }, signal })),
});

export const releases = queryOptions({
  queryKey: ["releases"],
  queryFn: async ({ signal }) => {
    const page = await body(
      api.GET("/api/v1/releases", { params: { query: { limit: WHOLE } }, signal }),
    );
    page.items.sort((a, b) => b.created_at.localeCompare(a.created_at));
    return page;
  },
});

export const release = (name: string) =>
  queryOptions({
    queryKey: ["releases", name],
    queryFn: ({ signal }) =>
      body(api.GET("/api/v1/releases/{name}", { params: { path: { name } }, signal })),
  });

export const rollouts = queryOptions({
  queryKey: ["rollouts"],
  queryFn: async ({ signal }) => {
    const page = await body(
      api.GET("/api/v1/rollouts", { params: { query: { limit: WHOLE } }, signal }),
    );
    page.items.sort((a, b) => b.created_at.localeCompare(a.created_at));
    return page;
  },
});

/** Rollouts that wait for a second person. The overview of the server leaves them out. */
export const approvals = queryOptions({
  queryKey: ["approvals"],
  queryFn: async ({ signal }) => {
    const query = { limit: WHOLE };
    const page = await body(api.GET("/api/v1/rollouts", { params: { query }, signal }));
    return page.items.filter(({ state }) => state === "waiting_for_approval");
  },
});

export const rollout = (name: string) =>
  queryOptions({
    queryKey: ["rollout", name],
    queryFn: ({ signal }) =>
      body(api.GET("/api/v1/rollouts/{name}", { params: { path: { name } }, signal })),
  });

export const rolloutFailures = (name: string) =>
  queryOptions({
    queryKey: ["rollout", name, "failures"],
    queryFn: ({ signal }) =>
      body(api.GET("/api/v1/rollouts/{name}/failures", { params: { path: { name } }, signal })),
  });

export const onlineKeys = queryOptions({
  queryKey: ["keys", "online"],
  queryFn: ({ signal }) => body(api.GET("/api/v1/image-repository/online-keys", { signal })),
});

export const imageRoot = queryOptions({
  queryKey: ["keys", "root"],
  queryFn: ({ signal }) => body(api.GET("/api/v1/image-repository/root", { signal })),
});

export const imageTargets = queryOptions({
  queryKey: ["keys", "targets"],
  queryFn: ({ signal }) => body(api.GET("/api/v1/image-repository/targets", { signal })),
});

/** Alerts that are not over, the newest first; no more than the first thousand of them. */
export const openAlerts = queryOptions({
  queryKey: ["alerts", "open"],
  queryFn: ({ signal }) =>
    body(api.GET("/api/v1/alerts", { params: { query: { limit: WHOLE } }, signal })),
});

/** Alerts of a device, those that are over too, the newest first. */
export const deviceAlerts = (device: string) =>
  queryOptions({
    queryKey: ["alerts", "device", device],
    queryFn: ({ signal }) => {
      const query = { device, resolved: true, limit: WHOLE };
      return body(api.GET("/api/v1/alerts", { params: { query }, signal }));
    },
  });

export const alertRules = queryOptions({
  queryKey: ["alert-rules"],
  queryFn: ({ signal }) => body(api.GET("/api/v1/alert-rules", { signal })),
});

export const subscriptions = queryOptions({
  queryKey: ["subscriptions"],
  // How far each has heard changes without an event.
  refetchInterval: SEEN_MS,
  queryFn: ({ signal }) =>
    body(api.GET("/api/v1/subscriptions", { params: { query: { limit: WHOLE } }, signal })),
});

export const users = queryOptions({
  queryKey: ["users"],
  queryFn: ({ signal }) =>
    body(api.GET("/api/v1/users", { params: { query: { limit: WHOLE } }, signal })),
});

export const user = (name: string) =>
  queryOptions({
    queryKey: ["users", name],
    queryFn: ({ signal }) =>
      body(api.GET("/api/v1/users/{name}", { params: { path: { name } }, signal })),
  });

export const sessions = (name: string) =>
  queryOptions({
    queryKey: ["users", name, "sessions"],
    queryFn: ({ signal }) =>
      body(api.GET("/api/v1/users/{name}/sessions", { params: { path: { name } }, signal })),
  });

export const tokens = queryOptions({
  queryKey: ["tokens"],
  queryFn: ({ signal }) => body(api.GET("/api/v1/tokens", { signal })),
});

export const freezes = queryOptions({
  queryKey: ["freezes"],
  queryFn: ({ signal }) => body(api.GET("/api/v1/freezes", { signal })),
});

/** How often devices measure; no event tells of it. */
const MEASURED_MS = 60_000;

export const metrics = (id: string) =>
  queryOptions({
    queryKey: ["device", id, "metrics"],
    refetchInterval: MEASURED_MS,
    queryFn: ({ signal }) =>
      body(api.GET("/api/v1/devices/{id}/metrics", { params: { path: { id } }, signal })),
  });

/** A metric over the last so many hours; the server chooses how finely. */
export const metric = (id: string, name: string, hours: number) =>
  queryOptions({
    queryKey: ["device", id, "metrics", name, hours],
    refetchInterval: MEASURED_MS,
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) => {
      const from = new Date(Date.now() - hours * 3_600_000).toISOString();
      return body(
        api.GET("/api/v1/devices/{id}/metrics/{name}", {
          params: { path: { id, name }, query: { from } },
          signal,
        }),
      );
    },
  });
