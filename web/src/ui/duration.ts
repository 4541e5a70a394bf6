/** Lengths of time: seconds on the wire, `90m` in addresses, words for people. */
export const units = [
  { letter: "d", word: "day", seconds: 86_400 },
  { letter: "h", word: "hour", seconds: 3600 },
  { letter: "m", word: "minute", seconds: 60 },
  { letter: "s", word: "second", seconds: 1 },
] as const;

export type Unit = (typeof units)[number];

/** The largest unit of which it is a whole number. */
export function unitOf(seconds: number): Unit {
  return units.find((unit) => seconds % unit.seconds === 0) ?? units[3];
}

export function writeDuration(seconds: number): string {
  const unit = unitOf(seconds);
  return `${seconds / unit.seconds}${unit.letter}`;
}

/** Seconds of `90m`; nothing when it is no length of time. */
export function readDuration(text: string): number | undefined {
  const [, count, letter] = /^(\d+(?:\.\d+)?)([dhms])$/.exec(text) ?? [];
  const unit = units.find((unit) => unit.letter === letter);
  return unit && Math.round(Number(count) * unit.seconds);
}

/** `1 day 2 hours`: the two largest units that it has. */
export function durationInWords(seconds: number): string {
  const parts: string[] = [];
  let rest = Math.round(seconds);
  for (const { word, seconds: length } of units) {
    const count = Math.floor(rest / length);
    rest -= count * length;
    if (count > 0) parts.push(`${count} ${word}${count === 1 ? "" : "s"}`);
  }
  return parts.slice(0, 2).join(" ") || "no time";
}
