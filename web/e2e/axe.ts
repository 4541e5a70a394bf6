import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { expect } from "vitest";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** Where pictures of all pages are put, for people to look at. */
const pictures = process.env.UPDRAFT_PICTURES;

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

/** Whether a page can be used by everybody. `part` is what is looked at: behind a dialog is nothing that can be used. */
export async function check(page: Page, name: string, part = "html"): Promise<void> {
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
