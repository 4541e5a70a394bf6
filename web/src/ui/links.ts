/** Addresses of the dashboard, with names encoded. */
export const deviceAt = (id: string) => `/devices/${encodeURIComponent(id)}`;
export const rolloutAt = (name: string) => `/rollouts/${encodeURIComponent(name)}`;
export const releaseAt = (name: string) => `/releases/${encodeURIComponent(name)}`;
export const devicesAt = (filter: string) => `/devices?filter=${encodeURIComponent(filter)}`;
export const ruleAbout = (metric: string) =>
  `/alerts?tab=rules&metric=${encodeURIComponent(metric)}`;

/** A value as it stands in a filter: quoted, so that nothing in it is read as something else. */
export function quoted(value: string): string {
  return `"${value.replace(/["\\]/g, "\\$&")}"`;
}
