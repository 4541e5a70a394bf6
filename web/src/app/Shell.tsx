import { ActionIcon, Button, Tooltip, useMantineColorScheme, VisuallyHidden } from "@mantine/core";
import {
  IconBell,
  IconDeviceDesktop,
  IconDevices,
  IconGauge,
  IconHistory,
  IconKey,
  IconListCheck,
  IconLogout,
  IconMenu2,
  IconMoon,
  IconPackage,
  type IconProps,
  IconRocket,
  IconSettings,
  IconSun,
  IconUsers,
  IconUsersGroup,
  IconX,
} from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { type ComponentType, type ReactNode, useEffect, useState } from "react";
import { Link, NavLink, useLocation } from "react-router";
import { useLive } from "../api/live";
import * as queries from "../api/queries";
import type { Scope } from "../session/login";
import { useMay, useSession, useSessionState } from "../session/SessionContext";
import css from "./Shell.module.css";
import { useShortcuts } from "./shortcuts";

interface Place {
  to: string;
  label: string;
  icon: ComponentType<IconProps>;
  /** Who may not do that is not led there. */
  needs?: Scope;
  /** How many things wait there for somebody. */
  count?: () => number;
}

/** Open alerts of which nobody has said yet that it is known. */
function useWaitingAlerts(): number {
  const { data } = useQuery(queries.openAlerts);
  return data?.items.filter(({ acknowledged_by }) => !acknowledged_by).length ?? 0;
}

const places: Place[] = [
  { to: "/", label: "Overview", icon: IconGauge },
  { to: "/devices", label: "Devices", icon: IconDevices },
  { to: "/groups", label: "Groups", icon: IconUsersGroup },
  { to: "/rollouts", label: "Rollouts", icon: IconRocket },
  { to: "/releases", label: "Releases", icon: IconPackage },
  { to: "/alerts", label: "Alerts", icon: IconBell, count: useWaitingAlerts },
  { to: "/events", label: "Events", icon: IconHistory },
  { to: "/audit", label: "Audit log", icon: IconListCheck, needs: "audit" },
  { to: "/keys", label: "Keys and metadata", icon: IconKey },
  { to: "/users", label: "Users and tokens", icon: IconUsers, needs: "users" },
  { to: "/settings", label: "Settings", icon: IconSettings },
];

/** What is around every page: the way to the others, who is logged in, and whether news arrive. */
export function Shell({ children }: { children: ReactNode }) {
  const { pathname } = useLocation();
  const [open, setOpen] = useState(false);
  const live = useLive();
  const session = useSession();
  const may = useMay();
  const { leave } = useSessionState();
  useShortcuts();
  // Whoever has chosen a place wants to see it.
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when the place changes
  useEffect(() => setOpen(false), [pathname]);
  const menu = open ? `${css.side} ${css.open}` : css.side;
  return (
    <div className={css.shell}>
      <a className={css.skip} href="#content">
        Skip to the content
      </a>
      <header className={css.top}>
        <ActionIcon
          className={css.burger}
          variant="default"
          size="lg"
          aria-expanded={open}
          aria-controls="places"
          aria-label={open ? "Close the menu" : "Open the menu"}
          onClick={() => setOpen(!open)}
        >
          {open ? <IconX size={20} /> : <IconMenu2 size={20} />}
        </ActionIcon>
        <NavLink to="/" className={css.brand}>
          <img src="/ui/icon.svg" alt="" width={26} height={26} />
          Updraft
        </NavLink>
        <span className={css.live} role="status">
          <span className={live === "open" ? css.dotOn : css.dotOff} aria-hidden />
          {live === "open" ? "live" : "connecting…"}
        </span>
      </header>
      <aside className={menu} id="places" aria-label="Menu">
        <nav aria-label="Places">
          <ul>
            {places
              .filter(({ needs }) => !needs || may(needs))
              .map((place) => (
                <li key={place.to}>
                  <NavLink to={place.to} end={place.to === "/"} className={css.place}>
                    <place.icon size={18} stroke={1.75} aria-hidden />
                    {place.label}
                    {place.count && <Count of={place.count} />}
                  </NavLink>
                </li>
              ))}
          </ul>
        </nav>
        <div className={css.foot}>
          <p className={css.who}>
            {session.kind === "user" ? (
              <Link to="/account" aria-label={`Your account, ${session.name}`}>
                {session.name}
              </Link>
            ) : (
              <span>{session.name}</span>
            )}
            <small>{session.scopes.join(", ")}</small>
          </p>
          <div className={css.footRow}>
            <SchemeButton />
            <Button
              size="xs"
              variant="default"
              leftSection={<IconLogout size={15} aria-hidden />}
              onClick={leave}
            >
              Log out
            </Button>
          </div>
        </div>
      </aside>
      <main id="content" className={css.main} tabIndex={-1}>
        {children}
      </main>
    </div>
  );
}

function Count({ of }: { of: () => number }) {
  const count = of();
  if (count === 0) return null;
  return (
    <>
      <span className={css.count} aria-hidden>
        {count.toLocaleString("en")}
      </span>
      <VisuallyHidden>, {count} waiting</VisuallyHidden>
    </>
  );
}

const schemes = {
  auto: { next: "light", label: "as the system has it", icon: IconDeviceDesktop },
  light: { next: "dark", label: "light", icon: IconSun },
  dark: { next: "auto", label: "dark", icon: IconMoon },
} as const;

function SchemeButton() {
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  const { next, label, icon: Icon } = schemes[colorScheme];
  const says = `Colours: ${label}. Change to ${schemes[next].label}`;
  return (
    <Tooltip label={says}>
      <ActionIcon
        variant="default"
        size={30}
        aria-label={says}
        onClick={() => setColorScheme(next)}
      >
        <Icon size={16} />
      </ActionIcon>
    </Tooltip>
  );
}
