/**
 * The span tree of one trace. Everything here is linear in the number of spans, because the traces worth opening are the
 * huge ones (30,000 spans).
 */

export interface TreeSpan {
  readonly id: string;
  readonly parentId: string | null;
  readonly name: string;
  readonly startMs: number;
  readonly endMs: number | null;
}

export interface Node<S extends TreeSpan> {
  readonly span: S;
  readonly depth: number;
  readonly children: Node<S>[];
  readonly parent: Node<S> | null;
  /** Spans below this one. */
  size: number;
}

/**
 * Build the forest. Spans whose parent is missing are roots (a parent may still be on its way); a cycle of parents is cut
 * at its earliest span. Siblings are ordered by start, then by their order in the answer.
 */
export function buildTree<S extends TreeSpan>(spans: readonly S[]): Node<S>[] {
  const byId = new Map<string, S>();
  for (const span of spans) byId.set(span.id, span);
  const childrenOf = new Map<string, S[]>();
  const roots: S[] = [];
  for (const span of byId.values()) {
    const parent = span.parentId;
    if (parent === null || parent === span.id || !byId.has(parent)) roots.push(span);
    else {
      const list = childrenOf.get(parent);
      if (list) list.push(span);
      else childrenOf.set(parent, [span]);
    }
  }
  const order = (a: S, b: S) => a.startMs - b.startMs;
  const done = new Set<string>();
  const forest: Node<S>[] = [];
  const grow = (root: S) => {
    const top: Node<S> = { span: root, depth: 0, children: [], parent: null, size: 0 };
    done.add(root.id);
    const visited: Node<S>[] = [];
    const stack = [top];
    for (let node = stack.pop(); node; node = stack.pop()) {
      visited.push(node);
      for (const child of (childrenOf.get(node.span.id) ?? []).sort(order)) {
        if (done.has(child.id)) continue;
        done.add(child.id);
        const next: Node<S> = { span: child, depth: node.depth + 1, children: [], parent: node, size: 0 };
        node.children.push(next);
        stack.push(next);
      }
    }
    for (let i = visited.length - 1; i > 0; i--) {
      const node = visited[i];
      if (node?.parent) node.parent.size += node.size + 1;
    }
    forest.push(top);
  };
  for (const root of roots.sort(order)) grow(root);
  if (done.size < byId.size) {
    for (const span of [...byId.values()].sort(order)) if (!done.has(span.id)) grow(span);
  }
  return forest;
}

/** Rows in reading order, without what is folded away. */
export function visibleRows<S extends TreeSpan>(forest: readonly Node<S>[], collapsed: ReadonlySet<string>): Node<S>[] {
  const rows: Node<S>[] = [];
  const stack = [...forest].reverse();
  for (let node = stack.pop(); node; node = stack.pop()) {
    rows.push(node);
    if (collapsed.has(node.span.id)) continue;
    for (let i = node.children.length - 1; i >= 0; i--) {
      const child = node.children[i];
      if (child) stack.push(child);
    }
  }
  return rows;
}

/** The rows a search shows: every match and the path to it. */
export function searchRows<S extends TreeSpan>(
  forest: readonly Node<S>[],
  matches: (span: S) => boolean,
): { rows: Node<S>[]; hits: Set<string> } {
  const all = visibleRows(forest, new Set());
  const hits = new Set<string>();
  const keep = new Set<Node<S>>();
  for (const node of all) {
    if (!matches(node.span)) continue;
    hits.add(node.span.id);
    for (let up: Node<S> | null = node; up && !keep.has(up); up = up.parent) keep.add(up);
  }
  return { rows: all.filter((node) => keep.has(node)), hits };
}

/** First start and last end; an open span counts up to `now`. */
export function extent(spans: readonly TreeSpan[], now: number): { start: number; end: number } {
  let start = Number.POSITIVE_INFINITY;
  let end = Number.NEGATIVE_INFINITY;
  for (const span of spans) {
    if (span.startMs > 0 && span.startMs < start) start = span.startMs;
    const last = span.endMs ?? Math.max(span.startMs, now);
    if (last > end) end = last;
  }
  if (!Number.isFinite(start)) return { start: 0, end: 1 };
  return { start, end: Math.max(end, start + 0.001) };
}

/** Round tick positions (ms from the start) for a time axis of about `count` ticks. */
export function ticks(totalMs: number, count: number): number[] {
  if (totalMs <= 0 || count < 1) return [0];
  const rough = totalMs / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((m) => m * power >= rough) ?? 10) * power;
  const out: number[] = [];
  for (let i = 0; i * step <= totalMs * 1.0001; i++) out.push(i * step);
  return out;
}
