import { expect, it } from "vitest";
import { open, visit } from "./browser";

it("is used without a mouse", async () => {
  const { page, complaints } = await open();
  await visit(page, "/");
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  await page.keyboard.press("Tab");
  const focused = () => page.evaluate(() => document.activeElement?.textContent ?? "");
  expect(await focused()).toBe("Skip to the content");
  await page.keyboard.press("Enter");
  expect(await page.evaluate(() => document.activeElement?.id)).toBe("content");

  // Keys lead to places, and each new page says where one is.
  await page.keyboard.press("g");
  await page.keyboard.press("d");
  await page.getByRole("heading", { name: "Devices", level: 1 }).waitFor();
  await expect.poll(focused).toBe("Devices");
  await page.keyboard.press("/");
  await page.keyboard.type("-02");
  await page.keyboard.press("Enter");
  await page.getByText("1 device", { exact: false }).first().waitFor();
  await page
    .getByRole("table")
    .getByRole("link", { name: "device-01" })
    .waitFor({ state: "detached" });
  expect(new URL(page.url()).searchParams.get("filter")).toBe('id=="*-02*"');

  // A dialog takes the focus, keeps it, and gives it back.
  await page.getByRole("table").getByRole("link", { name: "device-02" }).press("Enter");
  const remove = page.getByRole("button", { name: "Delete" });
  await remove.press("Enter");
  await page.getByRole("dialog").waitFor();
  await expect.poll(() => page.evaluate(() => document.activeElement?.tagName)).toBe("INPUT");
  const confirm = page.getByRole("dialog").getByRole("button", { name: "Delete" });
  expect(await confirm.isDisabled()).toBe(true);
  await page.keyboard.type("device-02");
  expect(await confirm.isEnabled()).toBe(true);
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await expect.poll(focused).toBe("Delete");
  expect(complaints).toEqual([]);
});

it("lets the address be passed on", async () => {
  const { page } = await open();
  await visit(page, "/devices?filter=group%3D%3Dcanary&sort=last_seen%3ADESC");
  await page.getByRole("table").getByRole("link", { name: "device-01" }).waitFor();
  expect(await page.getByRole("table").getByRole("link", { name: "device-02" }).count()).toBe(0);
  const heading = page.getByRole("columnheader", { name: "Last seen" });
  expect(await heading.getAttribute("aria-sort")).toBe("descending");
});
