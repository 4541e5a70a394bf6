// Writes the compressed forms of what Vite has built, so that the server never compresses.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const folder = new URL("../dist/ui/", import.meta.url).pathname;
const compressible = /\.(html|js|css|svg|json|txt)$/;

const entries = await readdir(folder, { recursive: true, withFileTypes: true });
for (const entry of entries.filter((entry) => entry.isFile() && compressible.test(entry.name))) {
  const path = join(entry.parentPath, entry.name);
  const content = await readFile(path);
  const brotli = brotliCompressSync(content, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: content.length,
    },
  });
  const gzip = gzipSync(content, { level: 9 });
  for (const [suffix, packed] of [
    [".br", brotli],
    [".gz", gzip],
  ]) {
    if (packed.length < content.length) await writeFile(path + suffix, packed);
  }
}
