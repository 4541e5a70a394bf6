import { IconAlertTriangle } from "@tabler/icons-react";
import css from "./ui.module.css";
import { When } from "./When";

const WARN_DAYS = 14;

/** How near an end is: 0 is far, 1 is soon, 2 is over. */
export function nearness(at: string, now: number): 0 | 1 | 2 {
  const days = (new Date(at).getTime() - now) / 86_400_000;
  if (days <= 0) return 2;
  return days < WARN_DAYS ? 1 : 0;
}

/** When signed metadata expires, and that it does so soon. */
export function Expiry({ at }: { at: string }) {
  const near = nearness(at, Date.now());
  if (near === 0) return <When at={at} />;
  return (
    <span className={css.state}>
      <IconAlertTriangle size={16} className={near === 2 ? css.bad : css.warn} aria-hidden />
      <span>
        {near === 2 ? "expired " : "soon: "}
        <When at={at} />
      </span>
    </span>
  );
}
