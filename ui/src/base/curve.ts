/** Curve arithmetic for charts: smoothing and joining several curves on one x axis. */

/**
 * Exponential moving average with bias correction (the form TensorBoard and W&B use): early points are not dragged
 * towards zero. `weight` in [0, 1); 0 returns the input. Gaps (null, NaN) stay gaps and do not reset the average.
 */
export function smooth(values: readonly (number | null)[], weight: number): (number | null)[] {
  if (weight <= 0) return [...values];
  const w = Math.min(weight, 0.999);
  let last = 0;
  let seen = 0;
  return values.map((value) => {
    if (value === null || !Number.isFinite(value)) return null;
    last = last * w + (1 - w) * value;
    seen += 1;
    return last / (1 - w ** seen);
  });
}

export interface Curve {
  readonly x: readonly number[];
  readonly y: readonly (number | null)[];
}

/** Join curves on the union of their x values (sorted, distinct); a curve is `undefined` where it has no point. */
export function align(curves: readonly Curve[]): { x: number[]; ys: (number | null | undefined)[][] } {
  const xs = new Set<number>();
  for (const curve of curves) for (const x of curve.x) xs.add(x);
  const x = [...xs].sort((a, b) => a - b);
  const at = new Map<number, number>();
  x.forEach((value, i) => {
    at.set(value, i);
  });
  const ys = curves.map((curve) => {
    const out: (number | null | undefined)[] = new Array(x.length).fill(undefined);
    curve.x.forEach((value, i) => {
      const slot = at.get(value);
      if (slot !== undefined) out[slot] = curve.y[i] ?? null;
    });
    return out;
  });
  return { x, ys };
}
