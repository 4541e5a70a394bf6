import { type ReactNode, useEffect, useRef } from "react";
import { useLocation } from "react-router";
import css from "./ui.module.css";

interface Props {
  title: string;
  /** What the tab says, where it is not the title. */
  tab?: string;
  about?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}

/** A page: its one heading, which takes the focus when somebody comes from another page. */
export function Page({ title, tab, about, actions, children }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  const { pathname, state } = useLocation();
  useEffect(() => {
    document.title = `${tab ?? title} · Updraft`;
  }, [tab, title]);
  useEffect(() => {
    // The first page leaves the focus where the browser put it.
    if (pathname && window.history.state?.idx > 0 && !state?.keepFocus) {
      heading.current?.focus({ preventScroll: true });
      window.scrollTo(0, 0);
    }
  }, [pathname, state]);
  return (
    <div className={css.page}>
      <div className={css.head}>
        <div>
          <h1 ref={heading} tabIndex={-1}>
            {title}
          </h1>
          {about && <p>{about}</p>}
        </div>
        {actions && <div className={css.actions}>{actions}</div>}
      </div>
      {children}
    </div>
  );
}

export function Card({
  title,
  aside,
  wide,
  children,
}: {
  title?: string;
  aside?: ReactNode;
  wide?: boolean;
  children: ReactNode;
}) {
  return (
    <section className={wide ? `${css.card} ${css.wide}` : css.card} aria-label={title}>
      {title && (
        <div className={css.cardHead}>
          <h2>{title}</h2>
          {aside}
        </div>
      )}
      {children}
    </section>
  );
}
