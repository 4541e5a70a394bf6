import type { ReactNode } from "react";
import { Command } from "./Command";
import css from "./ui.module.css";

/** Nothing is there yet: what this place is for, and what to type so that something is. */
export function Empty({
  title,
  children,
  command,
  action,
}: {
  title: string;
  children?: ReactNode;
  command?: string;
  action?: ReactNode;
}) {
  return (
    <div className={css.empty}>
      <h2>{title}</h2>
      {children && <p>{children}</p>}
      {command && <Command>{command}</Command>}
      {action}
    </div>
  );
}

export function Loading() {
  return (
    <div className={css.loading} role="status">
      Loading…
    </div>
  );
}
