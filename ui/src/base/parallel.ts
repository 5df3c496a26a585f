/** Axes of a parallel-coordinates plot: numbers on a scale, words at even steps. */

export interface Axis {
  readonly id: string;
  readonly label: string;
  /** 0 (bottom) to 1 (top) per row; null where the row has no value. */
  readonly places: readonly (number | null)[];
  /** Labels along the axis with their places. */
  readonly ticks: readonly { readonly at: number; readonly text: string }[];
}

/** `null` and empty values are gaps. Returns null when there is nothing to tell apart or too many words. */
export function makeAxis(
  id: string,
  label: string,
  values: readonly (string | number | null | undefined)[],
  format: (value: number) => string,
): Axis | null {
  const present = values.filter((v): v is string | number => v !== null && v !== undefined && v !== "");
  if (present.length === 0) return null;
  const numbers = present.map(Number);
  if (numbers.every(Number.isFinite)) {
    const min = Math.min(...numbers);
    const max = Math.max(...numbers);
    const log = min > 0 && max / min >= 100;
    const scale = (v: number) =>
      max === min ? 0.5 : log ? Math.log(v / min) / Math.log(max / min) : (v - min) / (max - min);
    const places = values.map((v) => (v === null || v === undefined || v === "" ? null : scale(Number(v))));
    const back = (at: number) => (log ? min * (max / min) ** at : min + at * (max - min));
    const ticks =
      max === min
        ? [{ at: 0.5, text: format(min) }]
        : [0, 0.25, 0.5, 0.75, 1].map((at) => ({ at, text: format(back(at)) }));
    return { id, label, places, ticks };
  }
  const words = [...new Set(present.map(String))].sort();
  if (words.length > 40) return null;
  const place = (word: string) => (words.length === 1 ? 0.5 : words.indexOf(word) / (words.length - 1));
  return {
    id,
    label,
    places: values.map((v) => (v === null || v === undefined || v === "" ? null : place(String(v)))),
    ticks: words.map((text) => ({ at: place(text), text })),
  };
}
