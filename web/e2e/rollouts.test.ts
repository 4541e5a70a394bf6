import { expect, it } from "vitest";
import { fillToken, open, visit, world } from "./browser";

/** Agents ask once a second, and a device boots in between. */
const ROLLOUT_MS = 90_000;

it("leads from the first visit to a finished rollout", async () => {
  const { page, complaints } = await open();
  await page.goto(world.url);
  expect(new URL(page.url()).pathname).toBe("/ui/");
  await page.getByRole("heading", { name: "Log in" }).waitFor();
  await fillToken(page, "updraft_0000");
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("alert").getByText("Unauthorized").waitFor();
  await visit(page, "/");
  await page.getByRole("heading", { name: "Overview", level: 1 }).waitFor();
  await page.getByText("live", { exact: true }).waitFor();

  // Devices appear by themselves as their agents register.
  await page.getByRole("link", { name: "Devices", exact: true }).click();
  const listed = (id: string) => page.getByRole("table").getByRole("link", { name: id });
  for (const id of ["device-01", "device-02", "device-03"]) await listed(id).waitFor();
  await page.getByRole("link", { name: "Groups", exact: true }).click();
  await page.getByRole("button", { name: "New group" }).click();
  await page.getByLabel("Name").fill("canary");
  await page.getByLabel("Description").fill("first to see trouble");
  await page.getByRole("button", { name: "Make the group" }).click();
  await page.getByText("first to see trouble").waitFor();
  await page.getByRole("link", { name: "Devices", exact: true }).click();
  await listed("device-01").click();
  await page.getByRole("button", { name: "Groups" }).click();
  await page.getByRole("menuitemcheckbox", { name: "canary" }).click();
  await page.locator("dd").getByRole("link", { name: "canary" }).waitFor();
  await page.keyboard.press("Escape");

  // The rollout is written with a live preview.
  await page.getByRole("link", { name: "Releases", exact: true }).click();
  await page.getByRole("link", { name: "Roll out v1" }).click();
  await page.getByLabel("Name of the rollout").fill("first");
  const preview = page.getByRole("region", { name: "Who would get it" });
  await preview.getByText("3", { exact: true }).waitFor();
  await preview.getByText("Phase 2: 2").waitFor();
  expect(page.url()).toContain("release=v1");
  await page.getByRole("button", { name: "Start the rollout" }).click();

  // And watched without a finger on the page.
  await page.getByRole("heading", { name: "first", level: 1 }).waitFor();
  await page.locator("p", { hasText: "finished" }).first().waitFor({ timeout: ROLLOUT_MS });
  expect(await page.getByText("Why devices failed").count()).toBe(1);
  await page.getByText("None has failed.").waitFor();
  await page.getByRole("link", { name: "Overview", exact: true }).click();
  await page.getByRole("link", { name: "3 devices on v1" }).waitFor();
  expect(complaints).toEqual([]);
});

it("shows why a rollout stopped, and which device failed", async () => {
  const { page, complaints } = await open();
  await visit(page, "/new-rollout?release=v2&name=second&phases=group%3Acanary,100");
  const preview = page.getByRole("region", { name: "Who would get it" });
  await preview.getByText("Phase 1: 1").waitFor();
  await preview.getByText("device-01").waitFor();
  await page.getByRole("button", { name: "Start the rollout" }).click();
  await page.getByText("Why it stopped:").waitFor({ timeout: ROLLOUT_MS });
  const failures = page.getByRole("region", { name: "Why devices failed" });
  await failures.getByText("1 device", { exact: true }).waitFor();
  await failures.getByRole("link", { name: "device-03" }).click();
  await page.getByRole("heading", { name: "device-03", level: 1 }).waitFor();
  const history = page.getByRole("region", { name: "History" });
  await history.getByText("failed").first().waitFor();
  // It came back to what it ran before.
  await page
    .getByRole("cell", { name: "v1", exact: true })
    .first()
    .waitFor({ timeout: ROLLOUT_MS });
  await page.getByRole("link", { name: "Overview", exact: true }).click();
  await page.getByRole("link", { name: "1 device", exact: true }).click();
  await page.getByRole("table").getByRole("link", { name: "device-03" }).waitFor();
  expect(await page.getByRole("table").getByRole("link").count()).toBe(1);
  expect(new URL(page.url()).searchParams.get("filter")).toBe("state==failed");
  expect(complaints).toEqual([]);
});
