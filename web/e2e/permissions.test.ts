import { expect, it } from "vitest";
import { ask, open, visit, world } from "./browser";

it("offers nobody what the server would refuse", async () => {
  const { page, complaints } = await open();
  const offered = async (path: string, ready: string) => {
    await visit(page, path, world.readToken);
    await page.getByText(ready).first().waitFor();
    const names = /new rollout|new group|delete|revoke|roll out|groups$|pause|stop|choose/i;
    const buttons = page.getByRole("main").getByRole("button", { name: names });
    const links = page.getByRole("main").getByRole("link", { name: /roll out|new rollout/i });
    return (await buttons.count()) + (await links.count());
  };
  expect(await offered("/", "Needs attention")).toBe(0);
  expect(await offered("/groups", "canary")).toBe(0);
  expect(await offered("/devices", "device-01")).toBe(0);
  expect(await page.getByRole("checkbox").count()).toBe(0);
  expect(await offered("/devices/device-01", "device-01-ecu")).toBe(0);
  expect(await offered("/releases", "demo-board")).toBe(0);
  expect(await offered("/rollouts", "second")).toBe(0);
  await visit(page, "/new-rollout", world.readToken);
  await page.getByText("needs the scope").waitFor();
  expect(complaints).toEqual([]);
});

it("is refused by the server when it asks all the same", async () => {
  const { page } = await open();
  await visit(page, "/", world.readToken);
  const refused: [string, string][] = [
    ["POST", "/api/v1/groups"],
    ["POST", "/api/v1/groups/canary/devices"],
    ["DELETE", "/api/v1/groups/canary"],
    ["POST", "/api/v1/rollouts"],
    ["POST", "/api/v1/rollouts/second/stop"],
    ["POST", "/api/v1/devices/device-01/revoke"],
    ["DELETE", "/api/v1/devices/device-01"],
  ];
  for (const [method, path] of refused) {
    expect(await ask(page, method, path, world.readToken), `${method} ${path}`).toBe(403);
    expect(await ask(page, method, path, "updraft_0"), `${method} ${path}`).toBe(401);
  }
  expect(await ask(page, "GET", "/api/v1/overview", world.readToken)).toBe(200);
  expect(await ask(page, "GET", "/api/v1/events/stream", "updraft_0")).toBe(401);
});
