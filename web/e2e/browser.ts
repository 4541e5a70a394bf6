import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect } from "vitest";

/** The server that a test talks to, and who it may be. */
export const world = JSON.parse(process.env.UPDRAFT_WORLD ?? "{}") as {
  url: string;
  token: string;
  readToken: string;
  /** Where the server may send webhooks. */
  hooks: string;
};

export interface Look {
  scheme?: "light" | "dark";
  width?: number;
  height?: number;
}

const opened: BrowserContext[] = [];
const folders: string[] = [];

/** A browser of its own, as somebody has it who was never here. */
export async function open({ scheme = "light", width = 1280, height = 900 }: Look = {}) {
  const folder = await mkdtemp(join(tmpdir(), "updraft-chromium-"));
  folders.push(folder);
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    ignoreHTTPSErrors: true,
    colorScheme: scheme,
    viewport: { width, height },
    reducedMotion: "reduce",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
  context.setDefaultTimeout(20_000);
  opened.push(context);
  const page = context.pages()[0] ?? (await context.newPage());
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    // A refusal is told by the page; the browser need not tell it again.
    const isRefusal = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !isRefusal) complaints.push(message.text());
  });
  return { page, complaints };
}

afterAll(async () => {
  for (const context of opened) await context.close();
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

/** Goes to a page of the dashboard, and logs in when that is asked for. */
export async function visit(page: Page, path: string, token = world.token): Promise<void> {
  await page.goto(`${world.url}/ui${path}`);
  const nav = page.locator("nav[aria-label=Places]");
  const heading = page.getByRole("heading", { name: "Log in" });
  await nav.or(heading).first().waitFor({ state: "attached" });
  if (await heading.isVisible()) {
    await fillToken(page, token);
    await page.getByRole("button", { name: "Log in" }).click();
    await nav.waitFor({ state: "attached" });
  }
}

/** Writes a token into the page of login, which asks for a password where there are users. */
export async function fillToken(page: Page, token: string): Promise<void> {
  const way = page.getByText("With a token");
  if (await way.isVisible()) await way.click();
  await page.getByLabel(/^API token/).fill(token);
}

/** Logs in as a user; with a one-time code where one is asked for. */
export async function logIn(page: Page, user: string, password: string, code?: () => string) {
  await page.goto(`${world.url}/ui/`);
  await page.getByLabel("User", { exact: false }).fill(user);
  await page.getByRole("textbox", { name: "Password" }).fill(password);
  await page.getByRole("button", { name: "Log in" }).click();
  if (code) {
    await page.getByLabel("One-time code").fill(code());
    await page.getByRole("button", { name: "Log in" }).click();
  }
  await page.locator("nav[aria-label=Places]").waitFor({ state: "attached" });
}

/** Goes to another page of the dashboard, as its links do. */
export async function go(page: Page, path: string): Promise<void> {
  await page.evaluate((path) => {
    history.pushState({ idx: 1 }, "", `/ui${path}`);
    dispatchEvent(new PopStateEvent("popstate", { state: { idx: 1 } }));
  }, path);
}

/** A request of a script of the page, as whoever is told. */
export async function ask(page: Page, method: string, path: string, token: string) {
  return page.evaluate(
    async ([method, path, token]) => {
      const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
      const body = method === "GET" ? undefined : "{}";
      return (await fetch(path as string, { method, headers, body })).status;
    },
    [method, path, token],
  );
}

beforeAll(async () => {
  expect(world.url, "UPDRAFT_WORLD is set by the tests in tests/dashboard").toBeTruthy();
});
