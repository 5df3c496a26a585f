/** What a typed score value means: a number, a boolean, or a label. */
export function readScoreValue(text: string): number | boolean | string {
  const clean = text.trim();
  if (/^(true|yes)$/i.test(clean)) return true;
  if (/^(false|no)$/i.test(clean)) return false;
  if (/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(clean)) return Number(clean);
  return clean;
}
