/** The logic of the run table: columns by key, order in MLflow's grammar, nesting of child runs. */

export interface RunLike {
  readonly run_id: string;
  readonly metrics?: Readonly<Record<string, unknown>>;
  readonly params?: Readonly<Record<string, string>>;
  readonly tags?: Readonly<Record<string, string>>;
}

export const PARENT_TAG = "mlflow.parentRunId";

/** Columns live in the URL as `m:val/loss,p:lr`; commas inside keys are escaped. */
export function writeColumns(ids: readonly string[]): string {
  return ids.map((id) => id.replaceAll("%", "%25").replaceAll(",", "%2C")).join(",");
}

export function readColumns(text: string): string[] {
  return text
    .split(",")
    .filter(Boolean)
    .map((id) => id.replaceAll("%2C", ",").replaceAll("%25", "%"));
}

/** A key in MLflow's grammar; backticks where it is no plain word. */
export function quoteKey(entity: "metrics" | "params" | "tags" | "attributes", key: string): string {
  return `${entity}.${/^[A-Za-z_]\w*$/.test(key) ? key : `\`${key.replaceAll("`", "")}\``}`;
}

/** Which columns a new table starts with: a handful of what most runs have, never everything. */
export function defaultColumns(
  runs: readonly RunLike[],
  metricKeys: readonly string[],
  paramKeys: readonly string[],
): string[] {
  const count = (keys: readonly string[], of: (run: RunLike) => Readonly<Record<string, unknown>> | undefined) => {
    const n = new Map(keys.map((k) => [k, 0]));
    for (const run of runs) for (const k of Object.keys(of(run) ?? {})) if (n.has(k)) n.set(k, (n.get(k) ?? 0) + 1);
    return n;
  };
  const metricCount = count(metricKeys, (r) => r.metrics);
  const metrics = metricKeys
    .filter((k) => !k.startsWith("system/"))
    .sort((a, b) => (metricCount.get(b) ?? 0) - (metricCount.get(a) ?? 0) || a.localeCompare(b))
    .slice(0, 5);
  const paramCount = count(paramKeys, (r) => r.params);
  const differs = (key: string) => new Set(runs.map((r) => r.params?.[key])).size > 1;
  const params = paramKeys
    .slice(0, 2_000)
    .sort(
      (a, b) =>
        Number(differs(b)) - Number(differs(a)) ||
        (paramCount.get(b) ?? 0) - (paramCount.get(a) ?? 0) ||
        a.localeCompare(b),
    )
    .slice(0, 4);
  return [
    "status",
    "start",
    "duration",
    "user",
    ...metrics.sort().map((k) => `m:${k}`),
    ...params.sort().map((k) => `p:${k}`),
  ];
}

export interface NestedRun<R> {
  readonly run: R;
  readonly depth: number;
  readonly children: number;
}

/**
 * Children below their parents, parents in the order given, children in theirs. A child whose parent is not among the runs
 * stays where it is; parents that name each other in a circle do too.
 */
export function nestRuns<R extends RunLike>(runs: readonly R[], folded: ReadonlySet<string>): NestedRun<R>[] {
  const ids = new Set(runs.map((r) => r.run_id));
  const children = new Map<string, R[]>();
  const tops: R[] = [];
  for (const run of runs) {
    const parent = run.tags?.[PARENT_TAG];
    if (parent && ids.has(parent) && parent !== run.run_id) {
      const list = children.get(parent);
      if (list) list.push(run);
      else children.set(parent, [run]);
    } else tops.push(run);
  }
  const out: NestedRun<R>[] = [];
  const seen = new Set<string>();
  const put = (run: R, depth: number) => {
    if (seen.has(run.run_id)) return;
    seen.add(run.run_id);
    const below = children.get(run.run_id) ?? [];
    out.push({ run, depth, children: below.length });
    if (folded.has(run.run_id)) for (const child of below) hide(child);
    else for (const child of below) put(child, depth + 1);
  };
  const hide = (run: R) => {
    if (seen.has(run.run_id)) return;
    seen.add(run.run_id);
    for (const child of children.get(run.run_id) ?? []) hide(child);
  };
  for (const run of tops) put(run, 0);
  for (const run of runs) put(run, 0);
  return out;
}

/** In reading order: numbers inside names count as numbers, the machine's own metrics come last. */
export function sortKeys(keys: readonly string[]): string[] {
  return [...keys].sort(
    (a, b) =>
      Number(a.startsWith("system/")) - Number(b.startsWith("system/")) || a.localeCompare(b, "en", { numeric: true }),
  );
}

/** Metrics in groups by the part before the last slash, groups and keys sorted; those without one come first. */
export function groupKeys(keys: readonly string[]): { readonly name: string; readonly keys: readonly string[] }[] {
  const groups = new Map<string, string[]>();
  for (const key of [...keys].sort((a, b) => a.localeCompare(b, "en", { numeric: true }))) {
    const name = key.includes("/") ? key.slice(0, key.lastIndexOf("/")) : "";
    const list = groups.get(name);
    if (list) list.push(key);
    else groups.set(name, [key]);
  }
  return [...groups]
    .map(([name, list]) => ({ name, keys: list }))
    .sort((a, b) => Number(a.name !== "") - Number(b.name !== "") || a.name.localeCompare(b.name));
}

/** A value of the API as a number: text stands for what JSON cannot say. */
export function metricNumber(value: number | string | null | undefined): number | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "number") return value;
  if (value === "Infinity") return Number.POSITIVE_INFINITY;
  if (value === "-Infinity") return Number.NEGATIVE_INFINITY;
  return Number.NaN;
}
