/** The query string as plain text pairs: `?q=status:error&range=24h`, readable and stable, with no JSON inside. */

export type Search = Record<string, string | undefined>;

export function parseSearch(text: string): Search {
  const out: Search = {};
  for (const [key, value] of new URLSearchParams(text.startsWith("?") ? text.slice(1) : text)) out[key] = value;
  return out;
}

/** Empty and undefined values are left out. Characters that are safe in a query stay readable. */
export function writeSearch(search: Record<string, unknown>): string {
  const parts: string[] = [];
  for (const key of Object.keys(search)) {
    const value = search[key];
    if (value === undefined || value === null || value === "") continue;
    parts.push(`${encode(key)}=${encode(String(value))}`);
  }
  return parts.length > 0 ? `?${parts.join("&")}` : "";
}

function encode(text: string): string {
  return encodeURIComponent(text)
    .replace(/%20/g, "+")
    .replace(/%(3A|2C|2F|40|7E|3E|3C|3D|22)/gi, (all, hex: string) =>
      ["3A", "2C", "2F", "40", "7E"].includes(hex.toUpperCase()) ? String.fromCharCode(Number.parseInt(hex, 16)) : all,
    );
}
