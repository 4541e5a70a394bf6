import type { Entry } from "./reading";

/** An entry's number and hash, kept elsewhere: shows that nothing up to it was changed since. */
export interface Checkpoint {
  number: number;
  hash: string;
}

const start: Checkpoint = { number: 0, hash: "0".repeat(64) };

export function readCheckpoint(text: string): Checkpoint | undefined {
  const [, number, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text.trim().toLowerCase()) ?? [];
  return number !== undefined && hash ? { number: Number(number), hash } : undefined;
}

export const writeCheckpoint = ({ number, hash }: Checkpoint) => `${number}:${hash}`;

/** What an entry's hash covers: it without `hash`, members sorted, no white space, in ASCII. */
export function hashedText(entry: Entry): string {
  const { hash: _, ...rest } = entry;
  const sorted = Object.fromEntries(Object.entries(rest).sort(([a], [b]) => (a < b ? -1 : 1)));
  return JSON.stringify(sorted).replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Follows the chain from its first entry, as entries come. */
export class Chain {
  last = start;
  /** What is wrong; nothing more is looked at then. */
  wrong: string | undefined;
  private readonly pinned: Checkpoint | undefined;

  constructor(pinned?: Checkpoint) {
    this.pinned = pinned;
  }

  async take(entries: Entry[]): Promise<void> {
    for (const entry of entries) {
      if (this.wrong) return;
      const hash = await sha256(hashedText(entry));
      this.wrong = this.problemOf(entry, hash);
      if (!this.wrong) this.last = { number: entry.number, hash };
    }
  }

  /** Says that there are no more entries. */
  end(): void {
    if (!this.wrong && this.pinned && this.last.number < this.pinned.number) {
      this.wrong = `The log ends with entry ${this.last.number}, before the checkpoint: its end was cut off.`;
    }
  }

  private problemOf(entry: Entry, hash: string): string | undefined {
    const expected = this.last.number + 1;
    if (entry.number !== expected) {
      return `Entry ${expected} is missing: ${entry.number} comes after ${this.last.number}.`;
    }
    if (entry.previous !== this.last.hash) {
      return `Entry ${entry.number} does not follow the one before it: one of them was changed.`;
    }
    if (entry.hash !== hash) return `Entry ${entry.number} was changed: its hash is another.`;
    if (this.pinned?.number === entry.number && this.pinned.hash !== hash) {
      return `Entry ${entry.number} is another than the checkpoint's: the chain was made anew.`;
    }
    return undefined;
  }
}
