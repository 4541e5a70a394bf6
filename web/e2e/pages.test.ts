import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { describe, expect, it } from "vitest";
import { go, type Look, open, visit, world } from "./browser";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** Where pictures of all pages are put, for people to look at. */
const pictures = process.env.UPDRAFT_PICTURES;

/** Each page, and what is on it once it has all that it shows. */
const pages: [string, string, string][] = [
  ["overview", "/", "What happened"],
  ["devices", "/devices", "device-01"],
  ["nobody", "/devices?filter=id==nobody", "No device is like that"],
  ["bad-filter", "/devices?filter=colour==red", "there is no field"],
  ["device", "/devices/device-03", "device-03-ecu"],
  ["no-device", "/devices/nobody", "Not Found"],
  ["groups", "/groups", "canary"],
  ["rollouts", "/rollouts", "second"],
  ["rollout", "/rollouts/second", "Why it stopped:"],
  ["new-rollout", "/new-rollout?release=v2&name=third&phases=group%3Acanary,50,100", "Phase 3"],
  ["releases", "/releases", "demo-board"],
  ["release", "/releases/v2", "OSTree commit"],
  ["events", "/events", "rollout second"],
  ["keys", "/keys", "Who signs images"],
  ["settings", "/settings", "Keys of the keyboard"],
  ["lost", "/nowhere", "This address leads nowhere"],
];

interface Violation {
  id: string;
  help: string;
  nodes: { target: string[]; failureSummary?: string }[];
}

async function violations(page: Page, part: string): Promise<string[]> {
  const found = await page.evaluate(async (part) => {
    const { axe } = window as unknown as {
      axe: { run: (part: string, options: object) => Promise<{ violations: Violation[] }> };
    };
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
    // The rules beyond WCAG are about whole pages.
    if (part === "html") tags.push("best-practice");
    return (await axe.run(part, { runOnly: tags })).violations;
  }, part);
  return found.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} ${target.join(" ")}: ${failureSummary}`),
  );
}

/** `part` is what is looked at: behind a dialog is nothing that can be used. */
async function check(page: Page, name: string, part = "html"): Promise<void> {
  if (pictures) {
    await mkdir(pictures, { recursive: true });
    await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
  }
  // Through the debugger: the content security policy of the page would refuse a script tag.
  await page.evaluate(axe);
  expect(await violations(page, part), name).toEqual([]);
  const [content, window_] = await page.evaluate(() => [
    document.documentElement.scrollWidth,
    window.innerWidth,
  ]);
  expect(content, `${name} is not wider than the window`).toBeLessThanOrEqual(window_ ?? 0);
}

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
