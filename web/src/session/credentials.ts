/**
 * With what requests show who asks: a token in memory, or a cookie that scripts never see together
 * with a token against forged requests. Never stored: a new page asks the server who it is.
 */
export interface Credentials {
  token?: string;
  csrfToken?: string;
}

let current: Credentials = {};
let whenLost: () => void = () => {};

export function credentials(): Credentials {
  return current;
}

export function setCredentials(next: Credentials): void {
  current = next;
}

/** Says what to do when the server no longer knows who asks. */
export function onLost(action: () => void): void {
  whenLost = action;
}

export function lost(): void {
  whenLost();
}
