/**
 * Places of values that a line through its neighbours does not show, so that they need a point of their own.
 *
 * @param values along the common axis; nothing where a curve has no value
 * @param join whether the line goes on across places without a value
 */
export function lonely(values: ArrayLike<number | null | undefined>, join: boolean): number[] {
  const known: number[] = [];
  const apart: number[] = [];
  for (let at = 0; at < values.length; at++) {
    if (values[at] == null) continue;
    known.push(at);
    if (values[at - 1] == null && values[at + 1] == null) apart.push(at);
  }
  if (!join) return apart;
  return known.length === 1 ? known : [];
}
