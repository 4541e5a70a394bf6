import { Button } from "@mantine/core";
import { IconAlertTriangle } from "@tabler/icons-react";
import { asProblem } from "../api/problem";
import css from "./ui.module.css";

/** What went wrong, why, and what may help. */
export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
  const problem = asProblem(error);
  // What is refused once is refused again.
  const mayPass = problem.status === 0 || problem.status === 429 || problem.status >= 500;
  return (
    <div className={css.problem} role="alert">
      <h2>
        <IconAlertTriangle size={18} aria-hidden /> {problem.title}
      </h2>
      <p>{sentence(problem.detail)}</p>
      {problem.hint && <p className={css.quiet}>{sentence(problem.hint)}</p>}
      {retry && mayPass && (
        <Button mt="sm" size="xs" variant="default" onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}

function sentence(text: string): string {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?…]$/.test(begun) ? begun : `${begun}.`;
}
