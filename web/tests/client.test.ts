import { readFile } from "node:fs/promises";
import openapi, { astToString } from "openapi-typescript";
import { expect, it } from "vitest";

it("has the types of the interface as it is", async () => {
  const description = new URL("../../docs/openapi.json", import.meta.url);
  const written = await readFile(new URL("../src/api/schema.ts", import.meta.url), "utf8");
  const ast = astToString(await openapi(description, { defaultNonNullable: false }));
  const head = written.slice(0, written.indexOf("export "));
  expect(
    written === head + ast,
    "src/api/schema.ts is old; make it anew with `npm run client`",
  ).toBe(true);
});
