import type { Cookie, Page } from "playwright-core";
import { expect, it } from "vitest";
import { check } from "./axe";
import { go, logIn, open, visit, world } from "./browser";
import { isSigned, listen, oneTimeCode } from "./hooks";

/** As long as the browser waits for what is to appear. */
const WAIT_MS = 20_000;
const PASSWORD = "correct horse battery";
/** Of the sessions that tests begin: a one-time code is good once, and a password takes its time. */
let annas: Cookie[] = [];
let ottos: Cookie[] = [];

async function logOut(page: Page) {
  await page.getByRole("button", { name: "Log out" }).click();
  await page.getByRole("heading", { name: "Log in" }).waitFor();
}

it("gives people accounts, and asks for a one-time code", async () => {
  const { page, complaints } = await open();
  await visit(page, "/users");
  for (const [name, role] of [
    ["anna", "admin"],
    ["otto", "operator"],
    ["vera", "viewer"],
  ] as const) {
    await page.getByRole("button", { name: "New user" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name").fill(name);
    await dialog.getByRole("textbox", { name: "Password" }).fill(PASSWORD);
    if (role !== "viewer") {
      await dialog.getByRole("checkbox", { name: "viewer" }).uncheck();
      await dialog.getByRole("checkbox", { name: role }).check();
    }
    await dialog.getByRole("button", { name: "Make the user" }).click();
    const listed = page.getByRole("list", { name: "Users" }).getByRole("listitem");
    await listed.filter({ hasText: new RegExp(`^${name}${role}`) }).waitFor();
  }
  await logOut(page);
  await logIn(page, "anna", PASSWORD);

  await page.getByRole("link", { name: "Your account, anna" }).click();
  await page.getByRole("button", { name: "Set up one-time codes" }).click();
  await page.getByText("Nothing changes before").waitFor();
  await check(page, "one-time-codes", "[role=dialog]");
  const secret = (await page.getByRole("dialog").locator("code").textContent()) ?? "";
  // The server takes the one before, too; the next log-in has that of now.
  await page.getByRole("textbox", { name: "Code" }).fill(oneTimeCode(secret, -1));
  await page.getByRole("button", { name: "Ask for codes from now on" }).click();
  await page.getByText("Each of them replaces a code once").waitFor();
  await page.getByRole("button", { name: "I have kept it" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.getByText("You are asked for a code").waitFor();
  await check(page, "account-light-1280");
  await page.getByRole("button", { name: "New token" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("annas-laptop");
  await page.getByRole("button", { name: "Make the token" }).click();
  const token = (await page.getByRole("dialog").locator("code").textContent()) ?? "";
  expect(token).toMatch(/^updraft_/);
  await page.getByRole("button", { name: "I have kept it" }).click();
  await page.getByRole("list", { name: "API tokens" }).getByText("annas-laptop").waitFor();
  expect(await page.content()).not.toContain(token);
  await logOut(page);
  await logIn(page, "anna", PASSWORD, () => oneTimeCode(secret, 0));
  expect(complaints).toEqual([]);
  annas = await page.context().cookies();
});

it("watches devices, tells a program, and stands in the audit log", async () => {
  const hooks = await listen(world.hooks);
  const { page, complaints } = await open();
  await page.context().addCookies(annas);
  await visit(page, "/alerts?tab=subscriptions");
  await page.getByRole("button", { name: "Tell somebody" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("chat");
  await page.getByLabel("Address").fill("https://somewhere.else.example/");
  await page.getByRole("button", { name: "Tell of these events" }).click();
  await page.getByRole("alert").getByText("may not send to that address").waitFor();
  await page.getByLabel("Address").fill(`${world.hooks}updraft`);
  await page.getByRole("button", { name: "Tell of these events" }).click();
  await page.getByText("It is shown now and never again").waitFor();
  const signedWith = (await page.getByRole("dialog").locator("code").textContent()) ?? "";
  await page.getByRole("button", { name: "I have kept it" }).click();

  await page.getByRole("tab", { name: "Rules" }).click();
  await page.getByRole("button", { name: "New rule" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("measured");
  await page.getByRole("combobox", { name: "Metric" }).fill("memory.available_bytes");
  await page.getByLabel("Alert above").fill("1024");
  await page.getByText("has memory.available_bytes above 1.0 KiB.").waitFor();
  await check(page, "new-rule", "[role=dialog]");
  await page.getByRole("button", { name: "Make the rule" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });

  // Real devices have measured real memory: the alerts come by themselves.
  await page.getByRole("link", { name: /^Alerts.*3 waiting/ }).waitFor();
  await page.getByRole("tab", { name: "Alerts" }).click();
  await page.getByRole("button", { name: "Acknowledge measured of device-02" }).click();
  await page.getByText("known to user:anna").waitFor();
  await page.getByRole("link", { name: /^Alerts.*2 waiting/ }).waitFor();
  await expect.poll(() => hooks.heard.length, { timeout: WAIT_MS }).toBe(3);
  hooks.close();
  expect(hooks.heard.every((heard) => isSigned(heard, signedWith))).toBe(true);
  expect(hooks.heard.map(({ body }) => JSON.parse(body).type)).toEqual(
    Array(3).fill("alert_fired"),
  );
  await page.getByRole("link", { name: "Overview" }).click();
  await page.getByRole("link", { name: "3 open alerts" }).waitFor();

  await page.getByRole("link", { name: "Audit log" }).click();
  const entries = page.getByRole("list", { name: "Entries" });
  await page.getByLabel("To what").fill("/alert-rules/");
  await page.getByRole("button", { name: "Show" }).click();
  await expect.poll(() => entries.getByRole("listitem").count(), { timeout: WAIT_MS }).toBe(1);
  await entries.getByText("alert rule measured was made").waitFor();
  expect(new URL(page.url()).searchParams.get("object")).toBe("/alert-rules/");
  await entries.getByRole("link", { name: "user:anna" }).waitFor();
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Verify" }).click();
  await page.getByText(/All \d+ entries are whole/).waitFor();
  await page.keyboard.press("Escape");
  const saved = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export" }).click();
  expect((await saved).suggestedFilename()).toBe("audit.jsonl");

  await go(page, "/devices/device-02?period=1h");
  await page
    .getByRole("img", { name: /^memory.available_bytes over the last hour: from/ })
    .waitFor();
  await page.getByText("memory.available_bytes as a table").click();
  await page.getByRole("group", { name: "memory.available_bytes as a table" }).waitFor();
  await page.getByRole("button", { name: "Pin" }).click();
  await page.getByLabel("Why").fill("a demo");
  await page.getByRole("button", { name: "Pin the device" }).click();
  await page.getByText(/by user:anna.*a demo/).waitFor();
  await page.getByRole("button", { name: "Unpin" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Unpin" }).click();
  await page.getByRole("button", { name: "Pin", exact: true }).waitFor();
  expect(complaints).toEqual([]);
});

it("takes two people for a rollout with rules", async () => {
  const { page, complaints } = await open();
  await logIn(page, "otto", PASSWORD);
  ottos = await page.context().cookies();
  await go(page, "/new-rollout?release=v2&name=careful&devices=device-01");
  await page.getByText("1. What").waitFor();
  await page.getByRole("radio", { name: "Roll back" }).check();
  await page.locator("summary", { hasText: "5. When it begins" }).click();
  await page.getByRole("checkbox", { name: "A second person" }).check();
  await page.locator("summary", { hasText: "6. How fast" }).click();
  await page.getByRole("radio", { name: "So many a minute" }).check();
  await page.getByLabel("At most so many at a time").fill("5");
  await page.locator("summary", { hasText: "7. What devices do" }).click();
  await page.getByLabel("Attempts").fill("2");
  await check(page, "all-rules");
  expect(new URL(page.url()).searchParams.get("on_failure")).toBe("rollback");
  await page.getByText("of them run it already").waitFor();
  await page.getByRole("button", { name: "Create the rollout" }).click();
  await page.getByText("somebody else has to approve").waitFor();
  const rules = page.getByRole("region", { name: "Rules" });
  await rules.getByText("100 devices a minute").waitFor();
  await rules.getByText("at most 5 devices").waitFor();
  expect(await page.getByRole("button", { name: "Approve" }).count()).toBe(0);

  const second = await open({ scheme: "dark", width: 320 });
  await second.page.context().addCookies(annas);
  await visit(second.page, "/");
  await second.page.getByText("waits for an approval").waitFor();
  await second.page.getByRole("link", { name: "careful", exact: true }).first().click();
  await second.page.getByRole("button", { name: "Approve" }).click();
  await second.page.getByLabel("Remark").fill("looks good");
  await check(second.page, "approve", "[role=dialog]");
  await second.page.getByRole("button", { name: "Approve the rollout" }).click();
  // Whoever made it sees it go on without a finger on the page.
  await page.getByText("by user:anna: looks good").waitFor();
  await page.locator("p", { hasText: "finished" }).first().waitFor();

  await page.getByRole("link", { name: "Rollouts", exact: true }).click();
  await page.getByRole("button", { name: "New freeze" }).click();
  await page.getByRole("dialog").getByLabel("Name").fill("holidays");
  await page.getByRole("button", { name: "Freeze", exact: true }).click();
  await page.getByText("in force").waitFor();
  await page.getByRole("button", { name: "End" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "End" }).click();
  await page.getByText("Nothing is frozen").waitFor();
  expect([...complaints, ...second.complaints]).toEqual([]);
});

it("offers a viewer, an operator and an admin what they may do", async () => {
  const offers: Record<string, string[]> = {};
  const { page, complaints } = await open();
  await logIn(page, "vera", PASSWORD);
  const people = { vera: await page.context().cookies(), otto: ottos, anna: annas };
  for (const [name, cookies] of Object.entries(people)) {
    await page.context().clearCookies();
    await page.context().addCookies(cookies);
    await visit(page, "/");
    const seen: string[] = [];
    const look = async (path: string, ready: string, what: string[]) => {
      await go(page, path);
      await page.getByText(ready).first().waitFor();
      for (const label of what) {
        const named = { name: label, exact: true };
        const found = ["button", "link", "tab"] as const;
        const counts = await Promise.all(found.map((role) => page.getByRole(role, named).count()));
        if (counts.some((count) => count > 0)) seen.push(label);
      }
    };
    await look("/alerts?tab=rules", "A warning when", ["New rule", "Who is told"]);
    await look("/rollouts", "Nothing is frozen", [
      "New freeze",
      "New rollout",
      "Audit log",
      "Users and tokens",
    ]);
    await look("/devices/device-02", "device-02-ecu", ["Pin", "Delete"]);
    offers[name] = seen;
  }
  expect(offers).toEqual({
    vera: [],
    otto: ["New rule", "New freeze", "New rollout", "Pin"],
    anna: [
      "New rule",
      "Who is told",
      "New freeze",
      "New rollout",
      "Audit log",
      "Users and tokens",
      "Pin",
      "Delete",
    ],
  });
  expect(complaints).toEqual([]);
});
