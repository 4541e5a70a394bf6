import { createReadStream } from "node:fs";
import { rm, stat, writeFile } from "node:fs/promises";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { afterAll, expect, test } from "vitest";
import { check } from "./axe";
import { open } from "./browser";

const device = JSON.parse(process.env.UPDRAFT_WORLD ?? "{}") as {
  url: string;
  token: string;
  package: string;
  updates: string;
  propertyFiles: { filename: string; offset: number; size: number }[];
};

/** How much of an answer is sent while the server is slow. */
const SOME = 3 << 20;

/** Where the package is: by ranges, and while it is slow only the beginning of each. */
class PackageServer {
  slow = true;
  private readonly waiting: ServerResponse[] = [];
  private readonly server: Server;

  constructor(private readonly file: string) {
    this.server = createServer(async (request, response) => {
      const { size } = await stat(this.file);
      const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? "");
      const start = Number(range?.[1] ?? 0);
      const end = range?.[2] ? Number(range[2]) : size - 1;
      response.writeHead(range ? 206 : 200, {
        "content-length": end - start + 1,
        "accept-ranges": "bytes",
        ...(range && { "content-range": `bytes ${start}-${end}/${size}` }),
      });
      const isCut = this.slow && end - start > SOME;
      const body = createReadStream(this.file, { start, end: isCut ? start + SOME : end });
      if (isCut) this.waiting.push(response);
      body.pipe(response, { end: !isCut });
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/ota.zip`;
  }

  /** From now on everything is sent; what waits is broken off and asked for again. */
  hurry(): void {
    this.slow = false;
    for (const response of this.waiting.splice(0)) response.destroy();
  }

  close(): void {
    this.hurry();
    this.server.close();
  }
}

const server = new PackageServer(device.package);
afterAll(() => server.close());

const button = (page: Page, name: string) => page.getByRole("button", { name, exact: true });

async function says(page: Page, text: string | RegExp): Promise<void> {
  await page.waitForFunction(
    ([text, flags]) =>
      new RegExp(text ?? "", flags).test(document.querySelector("#summary")?.textContent ?? ""),
    typeof text === "string"
      ? [text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), ""]
      : [text.source, text.flags],
    { timeout: 60_000 },
  );
}

async function yes(page: Page): Promise<void> {
  await page.getByRole("dialog").getByRole("button", { name: "Yes" }).click();
}

test("somebody at the device updates it", async () => {
  const url = await server.listen();
  const config = {
    name: "board 2.1",
    url,
    ab_install_type: "STREAMING",
    ab_config: {
      force_switch_slot: true,
      verify_payload_metadata: true,
      authorization: "Basic dXNlcjpwYXNz",
      property_files: device.propertyFiles,
    },
  };
  await writeFile(join(device.updates, "a.json"), JSON.stringify(config));
  await writeFile(join(device.updates, "broken.json"), '{"name":"no more"}');
  const { page, complaints } = await open();

  // Nobody is let in without the token.
  await page.goto(device.url);
  await page.getByLabel("Token").fill("0".repeat(64));
  await button(page, "Open").click();
  await page.getByText("not the one of this device").waitFor();
  await check(page, "slots-token");
  await page.getByLabel("Token").fill(device.token);
  await button(page, "Open").click();
  await says(page, "No update is in work.");
  // Behind the address it comes once, and is not left there.
  await page.goto("about:blank");
  await page.goto(`${device.url}#${device.token}`);
  await says(page, "No update is in work.");
  expect(page.url()).not.toContain(device.token);

  // What there is, as its author wrote it, without what opens the door to it.
  expect(await page.getByRole("radio").count()).toBe(2);
  expect(await page.getByRole("radio", { name: /broken.json/ }).isDisabled()).toBe(true);
  await button(page, "View configuration").click();
  const shown = page.getByRole("dialog");
  expect(await shown.locator("pre").textContent()).toContain('"STREAMING"');
  expect(await shown.locator("pre").textContent()).not.toContain("dXNlcjpwYXNz");
  await check(page, "slots-configuration", "#view");
  await page.keyboard.press("Escape");

  // Applied by the keyboard, suspended, gone on with, and cancelled in the middle.
  await button(page, "Apply").focus();
  await page.keyboard.press("Enter");
  await check(page, "slots-confirm", "#confirm");
  await yes(page);
  await says(page, "is being written");
  await page.getByRole("progressbar").waitFor();
  await button(page, "Suspend").click();
  await says(page, "it was suspended");
  await check(page, "slots-suspended");
  await button(page, "Resume").click();
  await says(page, "is being written");
  expect(await button(page, "Apply").getAttribute("aria-disabled")).toBe("true");
  await button(page, "Cancel").click();
  await yes(page);
  await says(page, "begun and interrupted");

  // Applied again it goes on, to the end.
  server.hurry();
  await button(page, "Apply").click();
  await yes(page);
  await says(page, "started when the device is restarted");
  const rows = page.getByRole("row");
  expect(await rows.nth(1).getByRole("cell").nth(1).textContent()).toBe("no");
  expect(await rows.nth(2).getByRole("cell").nth(1).textContent()).toBe("yes");
  await button(page, "Switch back").click();
  await says(page, "not to be started yet");
  await button(page, "Switch slot").click();
  await says(page, "started when the device is restarted");
  await page
    .locator("#log")
    .getByText(/switched/i)
    .first()
    .waitFor();
  await check(page, "slots-applied");

  // On a small screen, in the dark.
  const small = await open({ scheme: "dark", width: 320, height: 640 });
  await small.page.goto(`${device.url}#${device.token}`);
  await says(small.page, "started when the device is restarted");
  await check(small.page, "slots-small-dark");

  await button(page, "Reset").click();
  await yes(page);
  await says(page, "No update is in work.");
  await rm(join(device.updates, "a.json"));
  await rm(join(device.updates, "broken.json"));
  await button(page, "Reload").click();
  await page.getByText("There are none in the folder of updates.").waitFor();
  expect([...complaints, ...small.complaints]).toEqual([]);
});
