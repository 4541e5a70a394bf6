import type { Schemas } from "../api/client";
import { allows, type Scope } from "./login";

export type Role = Schemas["Role"];

/** What each role may do, and what it is for. A role that the server has and this list lacks is a type error. */
export const roles: Record<Role, { scopes: Scope[]; about: string }> = {
  viewer: { scopes: ["read"], about: "sees everything" },
  publisher: { scopes: ["read", "publish"], about: "makes releases" },
  operator: {
    scopes: ["read", "operate", "approve"],
    about: "changes groups, rollouts and alert rules, and approves of rollouts",
  },
  auditor: { scopes: ["read", "audit"], about: "reads the audit log" },
  admin: { scopes: ["admin"], about: "may do everything" },
};

export const scopesInWords: Record<Scope, string> = {
  read: "see everything",
  publish: "upload and release",
  operate: "change groups, rollouts and alert rules",
  approve: "approve of rollouts",
  audit: "read the audit log",
  users: "manage accounts and tokens",
  admin: "everything",
};

export const roleNames = Object.keys(roles) as Role[];
export const scopeNames = Object.keys(scopesInWords) as Scope[];

/** Whether somebody may do all that these roles may: only then the server lets them be managed. */
export function coversRoles(mine: readonly Scope[], theirs: readonly Role[]): boolean {
  return coversScopes(
    mine,
    theirs.flatMap((role) => roles[role]?.scopes ?? ["admin"]),
  );
}

export function coversScopes(mine: readonly Scope[], theirs: readonly Scope[]): boolean {
  return theirs.every((scope) => allows(mine, scope));
}
