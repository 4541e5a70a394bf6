import type { ReactNode } from "react";
import { State } from "./State";
import { stateShown } from "./states";
import css from "./ui.module.css";

export interface Part {
  state: string;
  count: number;
  /** What leads to just these. */
  link?: (content: ReactNode) => ReactNode;
}

/** Parts of a whole as one bar. The legend below it says the same in words and numbers. */
export function Bar({ parts, legend = true }: { parts: Part[]; legend?: boolean }) {
  const there = parts.filter((part) => part.count > 0);
  return (
    <div>
      <div className={css.bar} aria-hidden>
        {there.map((part) => (
          <span
            key={part.state}
            className={css[stateShown(part.state).tone]}
            style={{ flexGrow: part.count }}
          />
        ))}
      </div>
      {legend && (
        <ul className={css.legend}>
          {there.map((part) => {
            const content = (
              <span className={css.part}>
                <State of={part.state} /> <b>{part.count.toLocaleString("en")}</b>
              </span>
            );
            return <li key={part.state}>{part.link ? part.link(content) : content}</li>;
          })}
        </ul>
      )}
    </div>
  );
}
