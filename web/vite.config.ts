import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  base: "/ui/",
  plugins: [react()],
  build: {
    // Its parent is kept by git, so that cargo has a folder to watch.
    outDir: "dist/ui",
    // Nothing inline: the server's content security policy refuses it.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false,
    chunkSizeWarningLimit: 900,
  },
  server: {
    // `npm run dev` beside a running server.
    proxy: {
      "/api": { target: process.env.UPDRAFT_SERVER ?? "https://127.0.0.1:8443", secure: false },
    },
  },
  test: { include: ["tests/**/*.test.ts"] },
});
