/**
 * A small, safe Markdown: enough to read what models write. The result is a tree of plain data that React renders as
 * text; HTML in the source stays text, and links are kept only when they are http(s) or mailto.
 */

export type Inline =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "code"; readonly text: string }
  | { readonly type: "strong" | "em" | "del"; readonly children: readonly Inline[] }
  | { readonly type: "link"; readonly href: string; readonly children: readonly Inline[] };

export type Block =
  | { readonly type: "paragraph"; readonly children: readonly Inline[] }
  | { readonly type: "heading"; readonly level: number; readonly children: readonly Inline[] }
  | { readonly type: "code"; readonly language: string; readonly text: string }
  | { readonly type: "quote"; readonly children: readonly Block[] }
  | {
      readonly type: "list";
      readonly ordered: boolean;
      readonly start: number;
      readonly items: readonly (readonly Block[])[];
    }
  | {
      readonly type: "table";
      readonly head: readonly (readonly Inline[])[];
      readonly rows: readonly (readonly (readonly Inline[])[])[];
    }
  | { readonly type: "rule" };

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`]*)$/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const DEPTH = 8;

export function parseMarkdown(text: string): Block[] {
  return blocks(text.replace(/\r\n?/g, "\n").split("\n"), 0);
}

function blocks(lines: readonly string[], depth: number): Block[] {
  const out: Block[] = [];
  let at = 0;
  const line = (i: number) => lines[i] ?? "";
  while (at < lines.length) {
    const now = line(at);
    if (now.trim() === "") {
      at += 1;
      continue;
    }
    const fence = FENCE.exec(now);
    if (fence?.[1]) {
      const close = new RegExp(`^ {0,3}${fence[1][0]}{${fence[1].length},}\\s*$`);
      const body: string[] = [];
      at += 1;
      while (at < lines.length && !close.test(line(at))) body.push(line(at++));
      at += 1;
      out.push({ type: "code", language: (fence[2] ?? "").trim().split(/\s/)[0] ?? "", text: body.join("\n") });
      continue;
    }
    const heading = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/.exec(now);
    if (heading?.[1]) {
      out.push({ type: "heading", level: heading[1].length, children: inline(heading[2] ?? "") });
      at += 1;
      continue;
    }
    if (/^ {0,3}([-*_])(\s*\1){2,}\s*$/.test(now)) {
      out.push({ type: "rule" });
      at += 1;
      continue;
    }
    if (/^ {0,3}>/.test(now) && depth < DEPTH) {
      const body: string[] = [];
      while (at < lines.length && /^ {0,3}>/.test(line(at))) body.push(line(at++).replace(/^ {0,3}> ?/, ""));
      out.push({ type: "quote", children: blocks(body, depth + 1) });
      continue;
    }
    if (
      now.includes("|") &&
      /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test(line(at + 1)) &&
      line(at + 1).includes("-")
    ) {
      const head = cells(now);
      const rows: (readonly Inline[])[][] = [];
      at += 2;
      while (at < lines.length && line(at).includes("|") && line(at).trim() !== "") rows.push(cells(line(at++)));
      out.push({ type: "table", head, rows });
      continue;
    }
    const item = ITEM.exec(now);
    if (item && depth < DEPTH) {
      const list = readList(lines, at, depth);
      out.push(list.block);
      at = list.end;
      continue;
    }
    const body: string[] = [];
    while (at < lines.length && line(at).trim() !== "" && !(body.length > 0 && starts(line(at), depth)))
      body.push(line(at++));
    out.push({ type: "paragraph", children: inline(body.join("\n")) });
  }
  return out;
}

function starts(line: string, depth: number): boolean {
  return (
    FENCE.test(line) || /^ {0,3}#{1,6}\s/.test(line) || (depth < DEPTH && (/^ {0,3}>/.test(line) || ITEM.test(line)))
  );
}

function readList(lines: readonly string[], from: number, depth: number): { block: Block; end: number } {
  const first = ITEM.exec(lines[from] ?? "");
  const indent = first?.[1]?.length ?? 0;
  const ordered = /\d/.test(first?.[2] ?? "");
  const items: Block[][] = [];
  let at = from;
  while (at < lines.length) {
    const found = ITEM.exec(lines[at] ?? "");
    if (!found || (found[1]?.length ?? 0) !== indent || /\d/.test(found[2] ?? "") !== ordered) break;
    const width = indent + (found[2]?.length ?? 1) + 1;
    const body = [found[3] ?? ""];
    at += 1;
    while (at < lines.length) {
      const next = lines[at] ?? "";
      const lead = next.length - next.trimStart().length;
      if (next.trim() === "") {
        const after = lines[at + 1] ?? "";
        if (after.trim() === "" || after.length - after.trimStart().length <= indent) break;
        body.push("");
      } else if (lead > indent) body.push(next.slice(Math.min(lead, width)));
      else break;
      at += 1;
    }
    items.push(blocks(body, depth + 1));
    while (at < lines.length && (lines[at] ?? "").trim() === "" && ITEM.test(lines[at + 1] ?? "")) at += 1;
  }
  const start = ordered ? Number.parseInt(first?.[2] ?? "1", 10) : 1;
  return { block: { type: "list", ordered, start, items }, end: Math.max(at, from + 1) };
}

function cells(line: string): (readonly Inline[])[] {
  return line
    .trim()
    .replace(/^\||\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((c) => inline(c.trim().replace(/\\\|/g, "|")));
}

const INLINE =
  /(`+)([\s\S]*?[^`])\1(?!`)|\*\*([^\s*](?:[\s\S]*?[^\s])?)\*\*|__([^\s_](?:[\s\S]*?[^\s])?)__|~~([^~]+)~~|\*([^\s*](?:[^*]*[^\s*])?)\*|(?<![\w])_([^\s_](?:[^_]*[^\s_])?)_(?![\w])|\[([^\]\n]*)\]\(([^()\s]+(?:\([^()\s]*\)[^()\s]*)?)(?:\s+"[^"]*")?\)|<?(https?:\/\/[^\s<>"')\]]+)>?/;

function inline(text: string, depth = 0): Inline[] {
  const out: Inline[] = [];
  let rest = text;
  while (rest !== "") {
    const found = depth < DEPTH ? INLINE.exec(rest) : null;
    if (!found) {
      out.push({ type: "text", text: rest });
      break;
    }
    if (found.index > 0) out.push({ type: "text", text: rest.slice(0, found.index) });
    const [all, , code, strong, strong2, del, em, em2, label, href, auto] = found;
    if (code !== undefined) out.push({ type: "code", text: code.replace(/^ (.+) $/, "$1") });
    else if (strong !== undefined || strong2 !== undefined)
      out.push({ type: "strong", children: inline(strong ?? strong2 ?? "", depth + 1) });
    else if (del !== undefined) out.push({ type: "del", children: inline(del, depth + 1) });
    else if (em !== undefined || em2 !== undefined)
      out.push({ type: "em", children: inline(em ?? em2 ?? "", depth + 1) });
    else if (href !== undefined) {
      const safe = safeHref(href);
      if (safe) out.push({ type: "link", href: safe, children: inline(label || href, depth + 1) });
      else out.push({ type: "text", text: all });
    } else if (auto !== undefined) out.push({ type: "link", href: auto, children: [{ type: "text", text: auto }] });
    rest = rest.slice(found.index + all.length);
  }
  return out;
}

/** The link if it may be followed: http, https and mailto only (never `javascript:` or `data:`). */
export function safeHref(href: string): string | null {
  return /^(https?:\/\/|mailto:)/i.test(href) ? href : null;
}
