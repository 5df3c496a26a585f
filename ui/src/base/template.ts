/** Prompt templates: their variables, what they become with values, and how two differ. */

export interface Message {
  readonly role?: string;
  readonly content?: unknown;
  readonly type?: string;
  readonly name?: string;
}

export type Template = string | readonly Message[];

const VARIABLE = /\{\{\s*([^{}]+?)\s*\}\}/g;

export const isPlaceholder = (message: Message): boolean => message.type === "placeholder";

function textOf(content: unknown): string {
  return typeof content === "string" ? content : JSON.stringify(content, null, 2);
}

/** The template as one text, as it is compared and searched. */
export function asText(template: Template): string {
  if (typeof template === "string") return template;
  return template
    .map((m) => (isPlaceholder(m) ? `[placeholder ${m.name}]` : `[${m.role}]\n${textOf(m.content ?? "")}`))
    .join("\n\n");
}

/** Names in `{{…}}`, each once, in order of appearance. */
export function variablesOf(template: Template): string[] {
  const found = new Set<string>();
  for (const match of asText(template).matchAll(VARIABLE)) if (match[1]) found.add(match[1]);
  return [...found];
}

/** The text with values in the place of variables; those without a value stay as they are. */
export function fill(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(VARIABLE, (whole, name: string) => values[name] || whole);
}

export interface DiffLine {
  readonly kind: "same" | "added" | "removed";
  readonly text: string;
}

/** Line by line, by longest common subsequence. Texts above 2,000 lines are shown as replaced whole. */
export function diffLines(before: string, after: string): DiffLine[] {
  const a = before.split("\n");
  const b = after.split("\n");
  if (a.length > 2000 || b.length > 2000)
    return [
      ...a.map((text): DiffLine => ({ kind: "removed", text })),
      ...b.map((text): DiffLine => ({ kind: "added", text })),
    ];
  const width = b.length + 1;
  const common = new Uint16Array((a.length + 1) * width);
  const at = (i: number, j: number): number => common[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      common[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
  const lines: DiffLine[] = [];
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      lines.push({ kind: "same", text: a[i] ?? "" });
      i++;
      j++;
    } else if (i < a.length && (j === b.length || at(i + 1, j) >= at(i, j + 1))) {
      lines.push({ kind: "removed", text: a[i] ?? "" });
      i++;
    } else {
      lines.push({ kind: "added", text: b[j] ?? "" });
      j++;
    }
  }
  return lines;
}

export interface Folder {
  readonly folder: string;
  readonly count: number;
}

/** What stands in a folder (`""` or `a/b/`): sub-folders with the number of names below them, and the names themselves. */
export function inFolder<T extends { readonly name: string }>(
  rows: readonly T[],
  folder: string,
): { folders: Folder[]; here: T[] } {
  const counts = new Map<string, number>();
  const here: T[] = [];
  for (const row of rows) {
    if (!row.name.startsWith(folder)) continue;
    const cut = row.name.indexOf("/", folder.length);
    if (cut < 0) here.push(row);
    else {
      const sub = row.name.slice(0, cut + 1);
      counts.set(sub, (counts.get(sub) ?? 0) + 1);
    }
  }
  return { folders: [...counts].map(([name, count]) => ({ folder: name, count })), here };
}
