import { type ReactNode, useState } from "react";
import css from "../../ui/ui.module.css";
import own from "./new-rollout.module.css";

/** Rules that most rollouts leave as they are: closed, with what they are at the moment in words. */
export function Fold({
  title,
  now,
  children,
}: {
  title: string;
  now: string;
  children: ReactNode;
}) {
  const [isOpen, setOpen] = useState(false);
  return (
    <section className={css.card} aria-label={title}>
      <details open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
        <summary className={own.foldHead}>
          <h2>{title}</h2>
          <span className={css.quiet}>{now}</span>
        </summary>
        <div className={own.foldBody}>{isOpen && children}</div>
      </details>
    </section>
  );
}
