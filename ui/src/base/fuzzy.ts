/**
 * How well `needle` (lower case) fits `text`: 0 is not at all. Letters must occur in order; runs of letters, word starts
 * and short texts score higher.
 */
export function fuzzy(needle: string, text: string): number {
  const hay = text.toLowerCase();
  const whole = hay.indexOf(needle);
  if (whole >= 0) return 1_000 - Math.min(whole, 200) - Math.min(hay.length, 300) / 10 + (whole === 0 ? 100 : 0);
  let score = 0;
  let at = 0;
  let run = 0;
  for (const c of needle) {
    if (c === " ") continue;
    const next = hay.indexOf(c, at);
    if (next < 0) return 0;
    run = next === at ? run + 1 : 0;
    score +=
      4 + run * 3 + (next === 0 || /[\s/_.:-]/.test(hay[next - 1] ?? "") ? 8 : 0) - Math.min(next - at, 10) * 0.3;
    at = next + 1;
  }
  return Math.max(1, score - hay.length / 20);
}
