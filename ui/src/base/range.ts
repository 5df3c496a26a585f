/**
 * Time ranges in the URL. `24h` is relative and resolves to the reader's now; `2026-11-23T10:00Z~2026-11-23T11:00Z`
 * is absolute. A shared link says which of the two was meant.
 */

export type Range =
  | { readonly kind: "all" }
  | { readonly kind: "relative"; readonly text: string; readonly ms: number }
  | { readonly kind: "absolute"; readonly from: number; readonly to: number };

const UNITS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };

export const PRESETS: readonly { readonly value: string; readonly label: string }[] = [
  { value: "15m", label: "Last 15 minutes" },
  { value: "1h", label: "Last hour" },
  { value: "6h", label: "Last 6 hours" },
  { value: "24h", label: "Last 24 hours" },
  { value: "7d", label: "Last 7 days" },
  { value: "30d", label: "Last 30 days" },
  { value: "all", label: "All time" },
];

/** Read what a person typed or a link carries: `25m`, `last 2 hours`, `3 days`, `all`, `FROM~TO`. */
export function parseRange(text: string | undefined): Range | null {
  if (text === undefined) return null;
  const clean = text.trim().toLowerCase();
  if (clean === "all" || clean === "all time") return { kind: "all" };
  const relative = /^(?:last\s+|past\s+)?(\d+(?:\.\d+)?)?\s*([a-z]+)$/.exec(clean);
  if (relative?.[2]) {
    const count = relative[1]
      ? Number(relative[1])
      : clean.startsWith("last") || clean.startsWith("past")
        ? 1
        : Number.NaN;
    const unit = unitOf(relative[2]);
    const ms = unit ? count * (UNITS[unit] ?? Number.NaN) : Number.NaN;
    if (Number.isFinite(ms) && ms > 0) return { kind: "relative", text: `${count}${unit}`, ms };
    return null;
  }
  const parts = text.trim().split("~");
  if (parts.length === 2) {
    const from = Date.parse(parts[0] ?? "");
    const to = Date.parse(parts[1] ?? "");
    if (Number.isFinite(from) && Number.isFinite(to) && from < to) return { kind: "absolute", from, to };
  }
  return null;
}

function unitOf(word: string): string | null {
  if (/^(s|sec|secs|second|seconds)$/.test(word)) return "s";
  if (/^(m|min|mins|minute|minutes)$/.test(word)) return "m";
  if (/^(h|hr|hrs|hour|hours)$/.test(word)) return "h";
  if (/^(d|day|days)$/.test(word)) return "d";
  if (/^(w|week|weeks)$/.test(word)) return "w";
  return null;
}

/** The text for the URL. */
export function writeRange(range: Range): string {
  if (range.kind === "all") return "all";
  if (range.kind === "relative") return range.text;
  return `${new Date(range.from).toISOString()}~${new Date(range.to).toISOString()}`;
}

/** Bounds in milliseconds; null means open. */
export function bounds(range: Range, now: number): { from: number | null; to: number | null } {
  if (range.kind === "all") return { from: null, to: null };
  if (range.kind === "relative") return { from: now - range.ms, to: null };
  return { from: range.from, to: range.to };
}

/** A bucket width in seconds that gives roughly `target` buckets over the span. */
export function bucketSeconds(spanMs: number, target = 60): number {
  const wanted = spanMs / 1_000 / target;
  for (const s of [1, 5, 10, 30, 60, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 604_800]) {
    if (s >= wanted) return s;
  }
  return 2_592_000;
}
