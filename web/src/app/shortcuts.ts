import { useEffect } from "react";
import { useNavigate } from "react-router";
import { stored } from "./stored";

/** Keys of one letter disturb whoever speaks to the machine, so they can be switched off. */
export const shortcutsOn = stored("updraft.shortcuts", true);

export const shortcuts = [
  { keys: "/", does: "go to the search field of the page" },
  { keys: "g o", does: "go to the overview", to: "/" },
  { keys: "g d", does: "go to the devices", to: "/devices" },
  { keys: "g r", does: "go to the rollouts", to: "/rollouts" },
  { keys: "g a", does: "go to the alerts", to: "/alerts" },
  { keys: "g e", does: "go to the events", to: "/events" },
];

/** Goes where keys lead, unless somebody writes. */
export function useShortcuts(): void {
  const navigate = useNavigate();
  useEffect(() => {
    let before = "";
    const press = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement | null;
      const writes = target?.closest("input, textarea, select, [contenteditable], [role=dialog]");
      if (!shortcutsOn.get() || writes || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "/") {
        const field = document.querySelector<HTMLInputElement>("[data-search]");
        if (field) {
          event.preventDefault();
          field.focus();
        }
        return;
      }
      const place = shortcuts.find(({ keys, to }) => to && keys === `${before} ${event.key}`);
      before = event.key;
      if (place?.to) navigate(place.to);
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [navigate]);
}
