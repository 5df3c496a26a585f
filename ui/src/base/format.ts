/**
 * How numbers, times and money are written. Pure functions: the same input gives the same text, in one fixed locale,
 * so that tables line up and tests need no browser.
 */

const DASH = "–";

/** Text for "not known", used everywhere a number is absent. */
export const unknown = DASH;

/** `1234567` → `1,234,567`. */
export function integer(value: number | null | undefined): string {
  if (value == null || Number.isNaN(value)) return DASH;
  return Math.round(value).toLocaleString("en-US");
}

/** `1 issue`, `2 issues`, `1,234 issues`. */
export function plural(count: number, noun: string): string {
  return `${integer(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** Counts for tight places: `999`, `1.2k`, `34k`, `5.6M`. */
export function compact(value: number | null | undefined): string {
  if (value == null || Number.isNaN(value)) return DASH;
  const size = Math.abs(value);
  if (size < 1_000) return Number.isInteger(value) ? String(value) : trim(value.toFixed(1));
  for (const [limit, unit] of [
    [1e6, "k"],
    [1e9, "M"],
    [1e12, "B"],
    [Number.POSITIVE_INFINITY, "T"],
  ] as const) {
    if (size < limit * 0.9995) {
      const scaled = (value / limit) * 1_000;
      if (limit === Number.POSITIVE_INFINITY) return `${trim((value / 1e12).toFixed(1))}T`;
      return `${Math.abs(scaled) < 100 ? trim(scaled.toFixed(1)) : Math.round(scaled)}${unit}`;
    }
  }
  return String(value);
}

function trim(text: string): string {
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

/**
 * US dollars with as many digits as it takes to see two significant ones: `$12.40`, `$0.0031`, `$0.00`.
 * `null` means nobody knows, which is not zero.
 */
export function money(value: number | null | undefined): string {
  if (value == null || Number.isNaN(value)) return DASH;
  if (value === 0) return "$0.00";
  const size = Math.abs(value);
  const sign = value < 0 ? "-" : "";
  if (size >= 1_000) return `${sign}$${Math.round(size).toLocaleString("en-US")}`;
  if (size >= 0.1) return `${sign}$${size.toFixed(2)}`;
  if (size < 0.000001) return `${sign}<$0.000001`;
  const digits = Math.min(8, Math.ceil(-Math.log10(size)) + 1);
  return `${sign}$${size.toFixed(digits)}`;
}

/** Milliseconds as people say them: `0.4ms`, `320ms`, `1.24s`, `2m 05s`, `3h 12m`, `2d 4h`. */
export function duration(ms: number | null | undefined): string {
  if (ms == null || Number.isNaN(ms)) return DASH;
  if (ms < 0) return `-${duration(-ms)}`;
  if (ms === 0) return "0ms";
  if (ms < 1) return `${trim(ms.toFixed(2))}ms`;
  if (ms < 9.95) return `${trim(ms.toFixed(1))}ms`;
  if (ms < 999.5) return `${Math.round(ms)}ms`;
  if (ms < 59_995) return `${(ms / 1_000).toFixed(2)}s`;
  const seconds = Math.round(ms / 1_000);
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m ${pad(seconds % 60)}s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 1_440) return `${Math.floor(minutes / 60)}h ${pad(minutes % 60)}m`;
  const hours = Math.round(minutes / 60);
  return `${Math.floor(hours / 24)}d ${hours % 24}h`;
}

function pad(value: number): string {
  return String(value).padStart(2, "0");
}

/** A metric or score value: up to six significant digits, exponent only where it helps. */
export function metric(value: number | string | null | undefined): string {
  if (value == null) return DASH;
  if (typeof value === "string") return value;
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e7) return value.toLocaleString("en-US");
  if (size >= 1e7 || size < 1e-4)
    return value
      .toExponential(3)
      .replace(/\.?0+e/, "e")
      .replace("e+", "e");
  if (size >= 1_000) return trim(value.toFixed(2)).replace(/\B(?=(\d{3})+(?!\d)(?=\.|$))/g, ",");
  return trim(value.toPrecision(5));
}

/** `0.0345` → `3.5%`. */
export function percent(ratio: number | null | undefined): string {
  if (ratio == null || Number.isNaN(ratio)) return DASH;
  const value = ratio * 100;
  if (value === 0) return "0%";
  if (Math.abs(value) < 0.1) return `${trim(value.toFixed(2))}%`;
  return `${trim(value.toFixed(1))}%`;
}

/** Bytes in powers of 1,024: `512 B`, `1.5 KB`, `20 MB`. */
export function bytes(value: number | null | undefined): string {
  if (value == null || Number.isNaN(value)) return DASH;
  const units = ["B", "KB", "MB", "GB", "TB"];
  let size = value;
  let unit = 0;
  while (size >= 1_023.5 && unit < units.length - 1) {
    size /= 1_024;
    unit += 1;
  }
  return `${size < 100 && unit > 0 ? trim(size.toFixed(1)) : Math.round(size)} ${units[unit]}`;
}

/** How long ago: `now`, `12s ago`, `5m ago`, `3h ago`, `2d ago`, then the date. */
export function ago(ms: number | null | undefined, now: number): string {
  if (ms == null || Number.isNaN(ms)) return DASH;
  const seconds = Math.round((now - ms) / 1_000);
  if (seconds < -5) return dateTime(ms);
  if (seconds < 3) return "now";
  if (seconds < 60) return `${seconds}s ago`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)}m ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)}h ago`;
  if (seconds < 7 * 86_400) return `${Math.floor(seconds / 86_400)}d ago`;
  return date(ms);
}

/** `2026-11-23 14:05:09` in the reader's zone; one width, so columns line up. */
export function dateTime(ms: number | null | undefined, withMillis = false): string {
  if (ms == null || Number.isNaN(ms)) return DASH;
  const d = new Date(ms);
  const text = `${date(ms)} ${pad(d.getHours())}:${pad(d.getMinutes())}:${pad(d.getSeconds())}`;
  return withMillis ? `${text}.${String(d.getMilliseconds()).padStart(3, "0")}` : text;
}

/** `2026-11-23` in the reader's zone. */
export function date(ms: number): string {
  const d = new Date(ms);
  return `${d.getFullYear()}-${pad(d.getMonth() + 1)}-${pad(d.getDate())}`;
}

/** For lists: the clock today, month and day otherwise: `14:05:09`, `Nov 21 14:05`. */
export function listTime(ms: number | null | undefined, now: number): string {
  if (ms == null || Number.isNaN(ms)) return DASH;
  const d = new Date(ms);
  const clock = `${pad(d.getHours())}:${pad(d.getMinutes())}`;
  if (date(ms) === date(now)) return `${clock}:${pad(d.getSeconds())}`;
  const month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][d.getMonth()];
  const year = d.getFullYear() === new Date(now).getFullYear() ? clock : String(d.getFullYear());
  return `${month} ${pad(d.getDate())} ${year}`;
}

/** First eight characters of a long id; whole when short. */
export function shortId(id: string): string {
  return id.length > 12 ? id.slice(0, 8) : id;
}
