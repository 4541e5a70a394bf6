import { defineConfig } from "vitest/config";

// Started by the tests of the crate in tests/dashboard, which make the world.
export default defineConfig({
  test: {
    include: ["e2e/**/*.test.ts"],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 60_000,
  },
});
