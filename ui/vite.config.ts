import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

/** The server to talk to while developing (`npm run dev`). */
const server = process.env.TWINLENS_URL ?? "http://127.0.0.1:5001";

export default defineConfig({
  plugins: [react()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  build: {
    outDir: "../twinlens/web",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    rolldownOptions: {
      output: {
        // A handful of files instead of dozens of crumbs: what every page needs, by how often it changes.
        codeSplitting: {
          groups: [
            {
              name: "react",
              test: /node_modules\/(react|react-dom|scheduler|@tanstack\/(react-router|router-core|history|react-query|query-core|react-store|store))\//,
            },
            {
              name: "base",
              test: /src\/(base|api)\/|src\/ui\/(Button|Chip|Copy|cx|Field|hotkeys|Page|Segmented|State|stored|time|toast)\b/,
            },
          ],
        },
      },
    },
  },
  server: { proxy: { "/api": { target: server, changeOrigin: true } } },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
});
