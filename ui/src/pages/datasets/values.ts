/** Values of items as text that people read and edit. */

export function pretty(value: unknown): string {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return isJson(value) ? JSON.stringify(value) : value;
  return JSON.stringify(value, null, 2);
}

/** Text that is no JSON is itself; nothing is null. */
export function parsed(text: string): unknown {
  if (text.trim() === "") return null;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

/** One line for a table. */
export function preview(value: unknown): string {
  if (value === null || value === undefined) return "–";
  return (typeof value === "string" ? value : JSON.stringify(value)).slice(0, 300);
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** A score as a number to compare: truth values count as 0 and 1, texts do not count. */
export function numeric(value: unknown): number | null {
  if (typeof value === "number") return value;
  return typeof value === "boolean" ? Number(value) : null;
}

interface Scored {
  readonly scores: Readonly<Record<string, unknown>>;
}

/** Whether any score of `cell` is lower than the baseline's (or only the baseline answered without an error). */
export function regressed(
  base: (Scored & { readonly error: boolean }) | null | undefined,
  cell: (Scored & { readonly error: boolean }) | null | undefined,
): boolean {
  if (!base || !cell) return false;
  if (cell.error && !base.error) return true;
  return Object.entries(cell.scores).some(([name, value]) => {
    const [before, after] = [numeric(base.scores[name]), numeric(value)];
    return before !== null && after !== null && after < before;
  });
}

/** Whether the answers or any score differ. */
export function changed(
  base: (Scored & { readonly output: unknown }) | null | undefined,
  cell: (Scored & { readonly output: unknown }) | null | undefined,
): boolean {
  if (!base || !cell) return base !== cell;
  const text = (each: Scored & { readonly output: unknown }) =>
    JSON.stringify([each.output, Object.entries(each.scores).sort()]);
  return text(base) !== text(cell);
}
