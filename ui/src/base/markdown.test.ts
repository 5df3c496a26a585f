import { describe, expect, it } from "vitest";
import { parseMarkdown, safeHref } from "./markdown";

describe("parseMarkdown", () => {
  it("reads blocks", () => {
    const types = parseMarkdown(
      "# T\n\ntext **b**\nmore\n\n- a\n- b\n  - c\n\n1. x\n2. y\n\n```py\nprint('<b>')\n```\n\n> q\n\n---\n\n| a | b |\n|---|---|\n| 1 | 2 |",
    ).map((b) => b.type);
    expect(types).toEqual(["heading", "paragraph", "list", "list", "code", "quote", "rule", "table"]);
  });
  it("keeps HTML as text", () => {
    expect(parseMarkdown("<img src=x onerror=alert(1)>")).toEqual([
      { type: "paragraph", children: [{ type: "text", text: "<img src=x onerror=alert(1)>" }] },
    ]);
  });
  it("keeps only safe links", () => {
    expect(JSON.stringify(parseMarkdown("[x](javascript:alert(1)) [y](https://e.org/a(b))"))).not.toContain(
      '"href":"javascript',
    );
    expect(parseMarkdown("[y](https://e.org)")[0]).toEqual({
      type: "paragraph",
      children: [{ type: "link", href: "https://e.org", children: [{ type: "text", text: "y" }] }],
    });
    expect([safeHref("JAVASCRIPT:x"), safeHref("data:text/html,x"), safeHref("/a"), safeHref("mailto:a@b")]).toEqual([
      null,
      null,
      null,
      "mailto:a@b",
    ]);
  });
  it("survives unclosed and hostile input quickly", () => {
    const started = performance.now();
    for (const text of [
      "```\nopen",
      "**",
      "[",
      "> ".repeat(500),
      "- ".repeat(500),
      "*a ".repeat(2_000),
      "`".repeat(3_000),
      "_".repeat(3_000),
      "[".repeat(3_000),
    ]) {
      parseMarkdown(text);
    }
    expect(performance.now() - started).toBeLessThan(1_500);
  });
  it("nests lists and keeps numbering", () => {
    const [list] = parseMarkdown("3. a\n   - b\n4. c");
    expect(list).toMatchObject({ type: "list", ordered: true, start: 3 });
    expect(list?.type === "list" && list.items[0]?.[1]?.type).toBe("list");
  });
});
