import { describe, expect, it } from "vitest";
import { check } from "./axe";
import { go, type Look, open, visit, world } from "./browser";

/** Each page, and what is on it once it has all that it shows. */
const pages: [string, string, string][] = [
  ["overview", "/", "What happened"],
  ["devices", "/devices", "device-01"],
  ["nobody", "/devices?filter=id==nobody", "No device is like that"],
  ["bad-filter", "/devices?filter=colour==red", "there is no field"],
  ["device", "/devices/device-03", "memory.available_bytes as a table"],
  ["no-device", "/devices/nobody", "Not Found"],
  ["groups", "/groups", "canary"],
  ["rollouts", "/rollouts", "second"],
  ["rollout", "/rollouts/second", "Why it stopped:"],
  ["new-rollout", "/new-rollout?release=v2&name=third&phases=group%3Acanary,50,100", "Phase 3"],
  ["no-alerts", "/alerts?show=past", "No alert has ended yet."],
  ["alerts", "/alerts", "rule measured"],
  ["rules", "/alerts?tab=rules", "A warning when a device has"],
  ["subscriptions", "/alerts?tab=subscriptions", "Webhook to"],
  ["audit", "/audit?actor=user%3Aanna", "make a rule"],
  ["users", "/users", "otto"],
  ["releases", "/releases", "demo-board"],
  ["release", "/releases/v2", "OSTree commit"],
  ["events", "/events", "rollout second"],
  ["keys", "/keys", "Who signs images"],
  ["settings", "/settings", "Keys of the keyboard"],
  ["lost", "/nowhere", "This address leads nowhere"],
];

const looks: Look[] = [
  { scheme: "light", width: 1280 },
  { scheme: "dark", width: 1280 },
  { scheme: "light", width: 320, height: 640 },
  { scheme: "dark", width: 320, height: 640 },
];

describe.each(looks)("in $scheme, $width wide", (look) => {
  it("every page can be used by everybody", async () => {
    const { page, complaints } = await open(look);
    await page.goto("about:blank");
    await visit(page, "/");
    for (const [name, path, ready] of pages) {
      await go(page, path);
      await page.getByRole("main").getByText(ready).first().waitFor();
      await check(page, `${name}-${look.scheme}-${look.width}`);
    }
    expect(complaints).toEqual([]);
  });
});

it("the page of login, dialogs and menus can be used by everybody", async () => {
  for (const look of looks) {
    const { page, complaints } = await open(look);
    const name = `${look.scheme}-${look.width}`;
    await page.goto("about:blank");
    await page.goto(`${world.url}/ui/`);
    await page.getByRole("heading", { name: "Log in" }).waitFor();
    await check(page, `login-${name}`);
    await visit(page, "/devices/device-02");
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByText("All that is known of it goes").waitFor();
    await check(page, `dialog-${name}`, "[role=dialog]");
    await page.keyboard.press("Escape");
    await visit(page, "/devices");
    await page.getByRole("button", { name: "Views" }).click();
    await page.getByRole("menuitem", { name: "Failed" }).waitFor();
    await check(page, `menu-${name}`, "[role=menu]");
    expect(complaints).toEqual([]);
  }
});
