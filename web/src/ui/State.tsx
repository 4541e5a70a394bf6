import { stateShown } from "./states";
import css from "./ui.module.css";

/** A state: a sign in its colour, and always its name. */
export function State({ of, label }: { of: string; label?: string }) {
  const { label: own, tone, icon: Icon } = stateShown(of);
  return (
    <span className={css.state}>
      <Icon size={16} className={css[tone]} aria-hidden />
      {label ?? own}
    </span>
  );
}
