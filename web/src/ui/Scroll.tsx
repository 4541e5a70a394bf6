import type { ReactNode } from "react";
import css from "./ui.module.css";

/** What may be wider than the page: it scrolls by itself, and keys reach it. */
export function Scroll({ label, children }: { label: string; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for fields
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys
    <div className={css.tableBox} tabIndex={0} role="group" aria-label={label}>
      {children}
    </div>
  );
}
