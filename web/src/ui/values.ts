import { durationInWords } from "./duration";
import { bytes } from "./time";

/** A value of a metric in the unit that its name ends with. */
export function valueInWords(metric: string, value: number): string {
  if (metric.endsWith("_bytes")) return bytes(value);
  if (metric.endsWith("_percent") || metric.endsWith(".percent")) return `${shown(value)} %`;
  if (metric.endsWith("_celsius")) return `${shown(value)} °C`;
  if (metric.endsWith("_sec")) return durationInWords(value);
  return shown(value);
}

function shown(value: number): string {
  return value.toLocaleString("en", { maximumSignificantDigits: 4 });
}
