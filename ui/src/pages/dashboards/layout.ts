/** Pure rules of the dashboard's grid and of what widgets draw. */
import { compact, duration, metric, money } from "@/base/format";
import type { Row } from "./queries";

export const COLUMNS = 12;

export interface Place {
  readonly id: string;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Reading order: row by row, left to right. */
export function inOrder<T extends Place>(tiles: readonly T[]): T[] {
  return [...tiles].sort((a, b) => a.y - b.y || a.x - b.x);
}

/** Sets tiles down in their order, left to right, into as few rows as their widths allow. */
export function pack<T extends Place>(tiles: readonly T[]): T[] {
  let x = 0;
  let y = 0;
  let height = 0;
  return tiles.map((tile) => {
    if (x + tile.width > COLUMNS) {
      x = 0;
      y += height;
      height = 0;
    }
    const placed = { ...tile, x, y };
    x += tile.width;
    height = Math.max(height, tile.height);
    return placed;
  });
}

/** The tile `id` in the place of the tile `target`, the others moving up or down. */
export function moveTo<T extends Place>(tiles: readonly T[], id: string, target: string): T[] {
  const order = inOrder(tiles);
  const from = order.findIndex((t) => t.id === id);
  const to = order.findIndex((t) => t.id === target);
  if (from < 0 || to < 0 || from === to) return order;
  const [tile] = order.splice(from, 1);
  if (tile) order.splice(to, 0, tile);
  return pack(order);
}

/** How values of a measure are written. */
export function formatOf(measure: string, agg: string): (value: number) => string {
  if (agg === "count" || agg === "uniq") return compact;
  if (/cost/i.test(measure)) return money;
  if (/latency|timeToFirstToken/i.test(measure)) return duration;
  if (/tokens$|^count|Count$|Calls$|usage/i.test(measure)) return compact;
  return metric;
}

const WORDS: Record<string, string> = {
  timeToFirstToken: "time to first token",
  uniqueUserIds: "users",
  uniqueSessionIds: "sessions",
  providedModelName: "model",
  stringValue: "category",
  toolNames: "tool",
  userId: "user",
  sessionId: "session",
};

/** A column's name for people: `p95_latency` → `p95 latency`, `promptName` → `prompt name`. */
export function words(name: string): string {
  const known = WORDS[name];
  if (known) return known;
  return name.replace(/([a-z])([A-Z])/g, (_, a: string, b: string) => `${a} ${b.toLowerCase()}`);
}

export function columnLabel(measure: string, agg: string): string {
  if (measure === "count") return "count";
  return agg === "uniq" || agg === "sum" ? words(measure) : `${agg} ${words(measure)}`;
}

const HOUR = 3_600_000;

/** The starts of all periods of a range, as the server chooses their length; only those that are there when it varies. */
export function periods(rows: readonly Row[], from: number, to: number): number[] {
  const there = [...new Set(rows.map((r) => Number(r.time_ms)))].sort((a, b) => a - b);
  const hours = (to - from) / HOUR;
  const step = hours <= 2 ? 60_000 : hours <= 72 ? HOUR : hours <= 1_440 ? 24 * HOUR : null;
  if (step === null) return there;
  const all: number[] = [];
  for (let t = Math.floor(from / step) * step; t < to && all.length < 2_000; t += step) all.push(t);
  return all;
}

export interface Curve {
  readonly label: string;
  readonly values: (number | null)[];
}

/** One curve per metric, or per value of the dimension; the largest first. */
export function curves(
  rows: readonly Row[],
  x: readonly number[],
  dimension: string | undefined,
  metrics: readonly { readonly column: string; readonly label: string }[],
  gap: number | null,
): Curve[] {
  const at = new Map(x.map((time, i) => [time, i]));
  const found = new Map<string, { total: number; curve: Curve }>();
  for (const row of rows) {
    for (const m of metrics) {
      const group = dimension === undefined ? m.label : label(row[dimension]);
      const name = dimension !== undefined && metrics.length > 1 ? `${group}, ${m.label}` : group;
      let entry = found.get(name);
      if (!entry) {
        entry = { total: 0, curve: { label: name, values: x.map(() => gap) } };
        found.set(name, entry);
      }
      const i = at.get(Number(row.time_ms));
      const value = row[m.column];
      if (i === undefined || typeof value !== "number") continue;
      entry.curve.values[i] = value;
      entry.total += value;
    }
  }
  const list = [...found.values()];
  if (dimension !== undefined) list.sort((a, b) => b.total - a.total);
  return list.map((e) => e.curve);
}

/** Each curve on top of those after it, for stacked bars and areas. */
export function stacked(list: readonly Curve[]): (number | null)[][] {
  const out: (number | null)[][] = [];
  let below: number[] | null = null;
  for (const curve of [...list].reverse()) {
    const base: readonly number[] | null = below;
    below = curve.values.map((v, i) => (v ?? 0) + (base?.[i] ?? 0));
    out.unshift(below);
  }
  return out;
}

/** A dimension's value for people. */
export function label(value: unknown): string {
  return value === null || value === undefined || value === "" ? "none" : String(value);
}
