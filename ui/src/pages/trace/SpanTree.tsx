import { useVirtualizer } from "@tanstack/react-virtual";
import { ChevronRight, ChevronsDownUp, ChevronsUpDown, Search } from "lucide-react";
import { type ReactNode, useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import { compact, duration, money } from "@/base/format";
import { buildTree, extent, type Node, searchRows, ticks, visibleRows } from "@/base/tree";
import { IconButton } from "@/ui/Button";
import { StatusDot } from "@/ui/Chip";
import { useHotkeys } from "@/ui/hotkeys";
import { useNow } from "@/ui/time";
import { KindIcon, kindColor } from "./kinds";
import css from "./SpanTree.module.css";
import type { ViewSpan } from "./use-trace";

const ROW = 28;
const INDENT = 14;
/** Deeper levels are drawn at this indent, so that names stay readable in chains thousands deep. */
const MAX_INDENT = 16;
/** Larger traces open folded below the second level; everything else opens whole. */
const FOLD_OVER = 2_000;

interface SpanTreeProps {
  readonly spans: readonly ViewSpan[];
  readonly selected: string | null;
  readonly onSelect: (id: string) => void;
  /** With a column of bars on a common time axis. */
  readonly waterfall: boolean;
  readonly tools?: ReactNode;
}

/** The spans of a trace as a tree beside their bars in time. Only rows in sight exist, so 30,000 spans scroll like 30. */
export function SpanTree({ spans, selected, onSelect, waterfall, tools }: SpanTreeProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const searchBox = useRef<HTMLInputElement>(null);
  const [text, setText] = useState("");
  const wanted = useDeferredValue(text.trim().toLowerCase());
  const now = useNow();
  const forest = useMemo(() => buildTree(spans), [spans]);
  const [collapsed, setCollapsed] = useState<ReadonlySet<string>>(() =>
    spans.length > FOLD_OVER ? foldBelow(forest, 1) : new Set(),
  );
  const open = spans.some((s) => s.endMs === null);
  const range = useMemo(() => extent(spans, open ? now : 0), [spans, open, now]);
  const total = range.end - range.start;
  const marks = useMemo(() => ticks(total, 4).filter((t) => t < total * 0.93), [total]);

  const { rows, hits } = useMemo(() => {
    if (wanted === "") return { rows: visibleRows(forest, collapsed), hits: null };
    return searchRows(forest, (s) => matches(s, wanted));
  }, [forest, collapsed, wanted]);

  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW,
    overscan: 20,
  });
  const at = rows.findIndex((n) => n.span.id === selected);
  // biome-ignore lint/correctness/useExhaustiveDependencies: only a new selection scrolls
  useEffect(() => {
    if (at >= 0) virtual.scrollToIndex(at, { align: "auto" });
  }, [selected, wanted === ""]);

  const fold = (id: string, on: boolean) =>
    setCollapsed((was) => {
      const next = new Set(was);
      if (on) next.add(id);
      else next.delete(id);
      return next;
    });
  const go = (to: number) => {
    const node = rows[Math.max(0, Math.min(rows.length - 1, to))];
    if (node) onSelect(node.span.id);
  };
  const here = rows[at];
  useHotkeys([
    { keys: "arrowdown", label: "Next span", group: "Trace", run: () => go(at + 1) },
    { keys: "arrowup", label: "Previous span", group: "Trace", run: () => go(at < 0 ? 0 : at - 1) },
    {
      keys: "arrowright",
      label: "Unfold the span, or go into it",
      group: "Trace",
      run: () => {
        if (!here) return false;
        if (collapsed.has(here.span.id)) fold(here.span.id, false);
        else if (here.children.length > 0) go(at + 1);
        return undefined;
      },
    },
    {
      keys: "arrowleft",
      label: "Fold the span, or go to its parent",
      group: "Trace",
      run: () => {
        if (!here) return false;
        if (here.children.length > 0 && !collapsed.has(here.span.id)) fold(here.span.id, true);
        else if (here.parent) onSelect(here.parent.span.id);
        return undefined;
      },
    },
    { keys: "f", label: "Search in the tree", group: "Trace", run: () => searchBox.current?.focus() },
  ]);

  const columns = waterfall ? "minmax(220px, 46%) minmax(0, 1fr)" : "minmax(0, 1fr)";
  const anyFolded = collapsed.size > 0;
  return (
    <div className={css.pane}>
      <div className={css.tools}>
        <Search size={14} className="muted" aria-hidden="true" />
        <input
          ref={searchBox}
          className={css.search}
          placeholder={`Search ${spans.length.toLocaleString("en-US")} ${spans.length === 1 ? "span" : "spans"}`}
          aria-label="Search in the tree"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape") {
              event.stopPropagation();
              setText("");
              event.currentTarget.blur();
            } else if (event.key === "Enter" || event.key === "ArrowDown") {
              event.preventDefault();
              const next =
                rows.slice(at + 1).find((n) => hits?.has(n.span.id)) ?? rows.find((n) => hits?.has(n.span.id));
              if (next) onSelect(next.span.id);
            }
          }}
        />
        {hits ? <span className="muted num">{hits.size.toLocaleString("en-US")} found</span> : null}
        <IconButton
          label={anyFolded ? "Unfold everything" : "Fold everything"}
          small
          onClick={() => setCollapsed(anyFolded ? new Set() : foldBelow(forest, 0))}
        >
          {anyFolded ? (
            <ChevronsUpDown size={14} aria-hidden="true" />
          ) : (
            <ChevronsDownUp size={14} aria-hidden="true" />
          )}
        </IconButton>
        {tools}
      </div>
      {waterfall ? (
        <div className={css.axis} style={{ gridTemplateColumns: columns }} aria-hidden="true">
          <div className={css.ticks}>
            {marks.map((t) => (
              <span key={t} style={{ left: `${(t / total) * 100}%` }}>
                {t === 0 ? "0" : duration(t)}
              </span>
            ))}
          </div>
        </div>
      ) : null}
      <div ref={scroller} className={css.scroller} role="tree" aria-label="Spans" tabIndex={0}>
        <div className={css.body} style={{ height: virtual.getTotalSize() }}>
          {virtual.getVirtualItems().map((item) => {
            const node = rows[item.index];
            if (!node) return null;
            return (
              <Row
                key={node.span.id}
                node={node}
                top={item.start}
                columns={columns}
                waterfall={waterfall}
                selected={node.span.id === selected}
                folded={collapsed.has(node.span.id) && hits === null}
                searching={hits !== null}
                dim={hits !== null && !hits.has(node.span.id)}
                wanted={wanted}
                start={range.start}
                total={total}
                now={range.end}
                marks={marks}
                onSelect={onSelect}
                onFold={fold}
              />
            );
          })}
        </div>
        {rows.length === 0 ? <div className={css.none}>{wanted ? "No span fits" : "No spans yet"}</div> : null}
      </div>
    </div>
  );
}

interface RowProps {
  readonly node: Node<ViewSpan>;
  readonly top: number;
  readonly columns: string;
  readonly waterfall: boolean;
  readonly selected: boolean;
  readonly folded: boolean;
  readonly searching: boolean;
  readonly dim: boolean;
  readonly wanted: string;
  readonly start: number;
  readonly total: number;
  readonly now: number;
  readonly marks: readonly number[];
  readonly onSelect: (id: string) => void;
  readonly onFold: (id: string, on: boolean) => void;
}

function Row({
  node,
  top,
  columns,
  waterfall,
  selected,
  folded,
  searching,
  dim,
  wanted,
  start,
  total,
  now,
  marks,
  onSelect,
  onFold,
}: RowProps) {
  const { row } = node.span;
  const branch = node.children.length > 0;
  const bad = row.status === "error" || row.level === "ERROR";
  const warned = row.level === "WARNING";
  const left = (Math.max(0, row.start_ms - start) / total) * 100;
  const end = row.end_ms ?? now;
  const width = (Math.max(0, end - Math.max(row.start_ms, start)) / total) * 100;
  const first = row.ttft_ms !== null && row.latency_ms ? Math.min(1, row.ttft_ms / row.latency_ms) : 0;
  const detail = row.model ?? row.tool_name ?? row.agent_name;
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: arrow keys move the selection
    <div
      role="treeitem"
      tabIndex={-1}
      aria-level={node.depth + 1}
      aria-selected={selected}
      aria-expanded={branch ? !folded : undefined}
      className={css.row}
      data-span={row.span_id}
      data-dim={dim}
      style={{ top, gridTemplateColumns: columns }}
      onClick={() => onSelect(row.span_id)}
    >
      <div className={css.cell} style={{ paddingLeft: 6 + Math.min(node.depth, MAX_INDENT) * INDENT }}>
        {branch && !searching ? (
          <button
            type="button"
            className={css.toggle}
            aria-expanded={!folded}
            aria-label={folded ? `Unfold ${node.size} spans` : "Fold"}
            tabIndex={-1}
            onClick={(event) => {
              event.stopPropagation();
              onFold(row.span_id, !folded);
            }}
          >
            <ChevronRight size={12} aria-hidden="true" />
          </button>
        ) : (
          <span className={css.toggle} />
        )}
        <KindIcon kind={row.kind} />
        <span className={css.name} title={row.name}>
          {wanted ? <Marked text={row.name} wanted={wanted} /> : row.name || row.kind}
        </span>
        {folded ? <span className={css.extra}>+{compact(node.size)}</span> : null}
        {detail && !row.name.includes(detail) ? <span className={css.extra}>{detail}</span> : null}
        {bad || warned ? <StatusDot status={bad ? "error" : "warn"} label={bad ? "Error" : "Warning"} /> : null}
        <span className={css.numbers}>
          {row.total_tokens > 0 && row.counted ? <span>{compact(row.total_tokens)}</span> : null}
          {row.total_cost !== null && row.total_cost > 0 && row.counted ? <span>{money(row.total_cost)}</span> : null}
          {waterfall ? null : <span>{row.latency_ms === null ? "…" : duration(row.latency_ms)}</span>}
        </span>
      </div>
      {waterfall ? (
        <div className={css.lane}>
          {marks.map((t) => (
            <span key={t} className={css.guide} style={{ left: `${(t / total) * 100}%` }} />
          ))}
          <span
            className={css.bar}
            data-status={bad ? "error" : undefined}
            data-open={row.end_ms === null}
            style={{ left: `${left}%`, width: `max(2px, ${width}%)`, backgroundColor: kindColor(row.kind) }}
          />
          {first > 0.02 ? (
            <span
              className={css.first}
              style={{ left: `${left}%`, width: `${width * first}%` }}
              title={`First token after ${duration(row.ttft_ms)}`}
            />
          ) : null}
          <span className={css.time} style={{ left: `${Math.min(100, left + width)}%` }}>
            {row.latency_ms === null ? "running" : duration(row.latency_ms)}
          </span>
        </div>
      ) : null}
    </div>
  );
}

function Marked({ text, wanted }: { readonly text: string; readonly wanted: string }) {
  const at = text.toLowerCase().indexOf(wanted);
  if (at < 0) return text;
  return (
    <>
      {text.slice(0, at)}
      <mark>{text.slice(at, at + wanted.length)}</mark>
      {text.slice(at + wanted.length)}
    </>
  );
}

function matches({ row }: ViewSpan, wanted: string): boolean {
  return [
    row.name,
    row.kind,
    row.model,
    row.tool_name,
    row.agent_name,
    row.status_message,
    row.input_preview,
    row.output_preview,
    row.span_id,
  ].some((t) => t?.toLowerCase().includes(wanted));
}

function foldBelow(forest: readonly Node<ViewSpan>[], depth: number): Set<string> {
  const out = new Set<string>();
  const stack = [...forest];
  for (let node = stack.pop(); node; node = stack.pop()) {
    if (node.children.length > 0 && node.depth >= depth) out.add(node.span.id);
    for (const child of node.children) stack.push(child);
  }
  return out;
}
