/** Identity colours. A run keeps its colour everywhere and for ever, because it is derived from the id alone. */

/** Distinguishable with the common colour vision deficiencies (after Okabe–Ito and Tol), legible on both themes. */
export const RUN_COLORS = [
  "#3f7fd6",
  "#e0822f",
  "#1f9e83",
  "#c1508f",
  "#8a6fd1",
  "#b59a16",
  "#d1495b",
  "#3aa7c9",
  "#6f8f2f",
  "#9c6644",
  "#5b6ee1",
  "#c77dbb",
  "#2f9e5f",
  "#e06c4f",
  "#7b8794",
  "#a8497a",
] as const;

/** FNV-1a, 32 bit: stable, quick, spread well enough for a palette. */
export function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    h ^= text.charCodeAt(i);
    h = Math.imul(h, 0x01000193);
  }
  return h >>> 0;
}

export function colorOf(id: string): string {
  return RUN_COLORS[hash(id) % RUN_COLORS.length] ?? RUN_COLORS[0];
}

/**
 * Colours for things drawn in one chart: each keeps its own colour unless an earlier one already took it, in which case
 * it gets the next free one, so that two lines of one chart never look the same while colours last.
 */
export function colorsFor(ids: readonly string[]): Map<string, string> {
  const taken = new Set<number>();
  const out = new Map<string, string>();
  for (const id of ids) {
    let slot = hash(id) % RUN_COLORS.length;
    for (let tries = 0; taken.has(slot) && tries < RUN_COLORS.length; tries++) slot = (slot + 1) % RUN_COLORS.length;
    taken.add(slot);
    if (taken.size === RUN_COLORS.length) taken.clear();
    out.set(id, RUN_COLORS[slot] ?? RUN_COLORS[0]);
  }
  return out;
}
