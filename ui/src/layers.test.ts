import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

/**
 * Imports point down only: pages → app hooks → ui → api → base. `base` is plain logic without React, `api` talks to the
 * server, `ui` is the design system, `app` is the frame, and a page knows no other page but the two it is made of.
 */
const SRC = dirname(fileURLToPath(import.meta.url));
const ALLOWED: Record<string, readonly string[]> = {
  base: ["base"],
  api: ["api", "base"],
  ui: ["ui", "api", "base"],
  app: ["app", "ui", "api", "base"],
  pages: ["pages", "app", "ui", "api", "base"],
};
/** Pages that lend parts to others. */
const LENDERS: Record<string, readonly string[]> = {
  annotation: ["trace"],
  experiments: ["run", "overview"],
  run: ["traces", "lineage"],
  traces: ["trace", "overview"],
  models: ["lineage"],
  deployments: ["lineage"],
  sessions: ["trace"],
  issues: ["traces"],
};

const files = readdirSync(SRC, { recursive: true, withFileTypes: true })
  .filter((f) => f.isFile() && /\.tsx?$/.test(f.name) && !f.name.endsWith(".test.ts"))
  .map((f) => relative(SRC, join(f.parentPath, f.name)));

it.each(files.filter((f) => f.includes("/")))("%s imports only what stands below it", (file) => {
  const [layer = "", page = ""] = file.split("/");
  const text = readFileSync(join(SRC, file), "utf8");
  for (const [, target = ""] of text.matchAll(/(?:from|import\()\s*"((?:@\/|\.)[^"]+)"/g)) {
    const path = target.startsWith("@/") ? target.slice(2) : relative(SRC, resolve(join(SRC, dirname(file)), target));
    const [other = "", otherPage = ""] = path.split("/");
    if (file === "app/router.tsx") continue; // the one place that knows all pages
    if (other === "styles") continue;
    expect(ALLOWED[layer], `${file} → ${path}`).toContain(other);
    if (layer === "pages" && other === "pages" && otherPage !== page) {
      expect(LENDERS[page] ?? [], `${file} → ${path}`).toContain(otherPage);
    }
  }
});
