import { columnResizingFeature, columnSizingFeature, tableFeatures, useTable } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { ArrowDown, ArrowUp } from "lucide-react";
import { type MouseEvent, type ReactNode, useCallback, useEffect, useMemo, useRef, useState } from "react";
import { cx } from "./cx";
import css from "./DataTable.module.css";
import { rowHeight, useDensity } from "./density";
import { useHotkeys } from "./hotkeys";
import { readStored, writeStored } from "./stored";

export interface Column<T> {
  readonly id: string;
  /** What the header says, and the column chooser. */
  readonly label: string;
  /** Pixels; with `grow` the least. */
  readonly width: number;
  /** Share of the space that is left. */
  readonly grow?: number;
  readonly align?: "right";
  /** Field the server sorts by; without it the header is no button. */
  readonly sort?: string;
  /** Stays in sight while the table scrolls sideways. */
  readonly pinned?: boolean;
  readonly header?: ReactNode;
  readonly cell: (row: T) => ReactNode;
}

export interface Sort {
  readonly field: string;
  readonly descending: boolean;
}

interface DataTableProps<T> {
  readonly label: string;
  /** Column widths are remembered under this name. */
  readonly name: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly rowId: (row: T) => string;
  readonly sort?: Sort | null;
  readonly onSort?: (sort: Sort) => void;
  readonly selected?: ReadonlySet<string>;
  readonly onSelect?: (ids: ReadonlySet<string>) => void;
  /** Shown in a peek panel or the like. */
  readonly activeId?: string | null;
  readonly fresh?: ReadonlySet<string>;
  readonly onOpen?: (row: T, how: "click" | "key") => void;
  /** The row under the keyboard cursor moved (j, k). */
  readonly onCursor?: (row: T) => void;
  readonly onEnd?: () => void;
  readonly onTop?: (atTop: boolean) => void;
  readonly foot?: ReactNode;
  readonly empty?: ReactNode;
  /** Raise this number to scroll back to the first row. */
  readonly toTop?: number;
}

const features = tableFeatures({ columnSizingFeature, columnResizingFeature });
const CHECK = 36;

/** Virtual rows under a sticky header; sorting, filtering and paging are the server's. */
export function DataTable<T>(props: DataTableProps<T>) {
  const { columns, rows, rowId, sort, selected, onSelect, onOpen, onCursor, activeId, onEnd, onTop } = props;
  const scroller = useRef<HTMLDivElement>(null);
  const height = rowHeight(useDensity());
  const [cursor, setCursor] = useState<string | null>(null);
  const anchor = useRef<string | null>(null);
  const storeKey = `twinlens.widths.${props.name}`;
  const [sizing, setSizing] = useState<Record<string, number>>(() => readStored(storeKey, {}));
  useEffect(() => writeStored(storeKey, sizing), [storeKey, sizing]);

  const defs = useMemo(() => columns.map((c) => ({ id: c.id, size: c.width, minSize: 48, maxSize: 1_200 })), [columns]);
  const data = rows as T[];
  const table = useTable({
    features,
    columns: defs as never,
    data: data as never[],
    state: { columnSizing: sizing },
    onColumnSizingChange: setSizing,
    columnResizeMode: "onChange",
    getRowId: (row: never) => rowId(row),
  });
  const headers = table.getHeaderGroups()[0]?.headers ?? [];

  const template = [
    ...(onSelect ? [`${CHECK}px`] : []),
    ...columns.map((c) => {
      const width = sizing[c.id] ?? c.width;
      return c.grow && sizing[c.id] === undefined ? `minmax(${width}px, ${c.grow}fr)` : `${width}px`;
    }),
    columns.some((c) => c.grow && sizing[c.id] === undefined) ? "0px" : "minmax(0, 1fr)",
  ].join(" ");
  const minWidth = columns.reduce((sum, c) => sum + (sizing[c.id] ?? c.width), onSelect ? CHECK : 0);

  const pins = new Map<string, number>();
  let left = onSelect ? CHECK : 0;
  for (const c of columns) {
    if (!c.pinned) break;
    pins.set(c.id, left);
    left += sizing[c.id] ?? c.width;
  }
  const lastPin = [...pins.keys()].pop();

  const virtual = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => height,
    overscan: 12,
    scrollPaddingStart: 36,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new height needs new positions
  useEffect(() => virtual.measure(), [height]);
  useEffect(() => {
    if (props.toTop) scroller.current?.scrollTo({ top: 0 });
  }, [props.toTop]);

  const items = virtual.getVirtualItems();
  const last = items[items.length - 1]?.index ?? 0;
  useEffect(() => {
    if (onEnd && rows.length > 0 && last >= rows.length - 20) onEnd();
  }, [onEnd, last, rows.length]);

  const move = useCallback(
    (step: number) => {
      if (rows.length === 0) return;
      const from = rows.findIndex((r) => rowId(r) === (cursor ?? activeId));
      const to = Math.max(0, Math.min(rows.length - 1, from < 0 ? 0 : from + step));
      const row = rows[to];
      if (row === undefined) return;
      setCursor(rowId(row));
      virtual.scrollToIndex(to);
      onCursor?.(row);
    },
    [rows, rowId, cursor, activeId, virtual, onCursor],
  );
  const toggle = useCallback(
    (id: string, range: boolean) => {
      if (!onSelect || !selected) return;
      const next = new Set(selected);
      const on = !next.has(id);
      const ids = range && anchor.current ? between(rows, rowId, anchor.current, id) : [id];
      for (const one of ids) {
        if (on) next.add(one);
        else next.delete(one);
      }
      anchor.current = id;
      onSelect(next);
    },
    [onSelect, selected, rows, rowId],
  );
  const at = () => rows.find((r) => rowId(r) === cursor);
  useHotkeys([
    { keys: "j", label: "Next row", group: "List", run: () => move(1) },
    { keys: "k", label: "Previous row", group: "List", run: () => move(-1) },
    { keys: "arrowdown", run: () => move(1) },
    { keys: "arrowup", run: () => move(-1) },
    ...(onOpen
      ? [
          {
            keys: "enter",
            label: "Open the row",
            group: "List",
            run: (event: KeyboardEvent) => {
              const row = at();
              if (row === undefined || (event.target instanceof HTMLElement && event.target.closest("a,button")))
                return false;
              onOpen(row, "key");
              return undefined;
            },
          },
        ]
      : []),
    ...(onSelect
      ? [
          { keys: "x", label: "Select the row", group: "List", run: () => cursor !== null && toggle(cursor, false) },
          {
            keys: "shift+x",
            label: "Select up to the row",
            group: "List",
            run: () => cursor !== null && toggle(cursor, true),
          },
        ]
      : []),
  ]);

  const click = (event: MouseEvent, row: T) => {
    const target = event.target as HTMLElement;
    if (target.closest("input,button,a")) return;
    if (window.getSelection()?.toString()) return;
    const id = rowId(row);
    setCursor(id);
    if (event.shiftKey && onSelect) toggle(id, true);
    else onOpen?.(row, "click");
  };

  const all = rows.length > 0 && selected !== undefined && rows.every((r) => selected.has(rowId(r)));
  return (
    <div
      ref={scroller}
      className={css.scroller}
      role="table"
      aria-label={props.label}
      aria-rowcount={rows.length + 1}
      tabIndex={0}
      onScroll={onTop ? (event) => onTop(event.currentTarget.scrollTop < 4) : undefined}
    >
      <div className={css.head} role="row" style={{ gridTemplateColumns: template, minWidth }}>
        {onSelect ? (
          <span className={cx(css.check, css.pinned)} style={{ left: 0 }} role="columnheader">
            <input
              type="checkbox"
              aria-label="Select all loaded rows"
              checked={all}
              onChange={() => onSelect(all ? new Set() : new Set(rows.map(rowId)))}
            />
          </span>
        ) : null}
        {columns.map((c, i) => {
          const header = headers[i];
          const on = sort && c.sort === sort.field ? sort : null;
          return (
            <div
              key={c.id}
              role="columnheader"
              aria-sort={on ? (on.descending ? "descending" : "ascending") : undefined}
              className={cx(css.th, c.align && css.right, pins.has(c.id) && css.pinned, c.id === lastPin && css.edge)}
              style={{ left: pins.get(c.id) }}
              title={c.label}
            >
              {c.sort && props.onSort ? (
                <button
                  type="button"
                  className={css.sort}
                  onClick={() => props.onSort?.({ field: c.sort ?? "", descending: on ? !on.descending : true })}
                >
                  <span className="ellipsis">{c.header ?? c.label}</span>
                  {on ? (
                    on.descending ? (
                      <ArrowDown size={12} aria-hidden="true" />
                    ) : (
                      <ArrowUp size={12} aria-hidden="true" />
                    )
                  ) : null}
                </button>
              ) : (
                <span className="ellipsis">{c.header ?? c.label}</span>
              )}
              {header ? (
                <span
                  className={css.grip}
                  data-on={header.column.getIsResizing()}
                  onMouseDown={header.getResizeHandler()}
                  onTouchStart={header.getResizeHandler()}
                  onDoubleClick={() =>
                    setSizing((before) => {
                      const { [c.id]: _gone, ...rest } = before;
                      return rest;
                    })
                  }
                  aria-hidden="true"
                />
              ) : null}
            </div>
          );
        })}
      </div>
      <div className={css.body} style={{ height: virtual.getTotalSize(), minWidth }}>
        {items.map((item) => {
          const row = rows[item.index];
          if (row === undefined) return null;
          const id = rowId(row);
          const picked = selected?.has(id) ?? false;
          return (
            // biome-ignore lint/a11y/useKeyWithClickEvents: j, k and Enter do the same
            <div
              key={id}
              role="row"
              aria-rowindex={item.index + 2}
              className={css.row}
              data-row={id}
              data-open={onOpen ? true : undefined}
              data-cursor={cursor === id}
              data-selected={picked}
              data-active={activeId === id}
              data-fresh={props.fresh?.has(id)}
              style={{ top: item.start, gridTemplateColumns: template, minWidth }}
              onClick={(event) => click(event, row)}
            >
              {onSelect ? (
                <span className={cx(css.check, css.pinned)} style={{ left: 0 }} role="cell">
                  <input
                    type="checkbox"
                    aria-label="Select row"
                    checked={picked}
                    onChange={(event) => toggle(id, (event.nativeEvent as unknown as MouseEvent).shiftKey)}
                  />
                </span>
              ) : null}
              {columns.map((c) => (
                <div
                  key={c.id}
                  role="cell"
                  className={cx(
                    css.td,
                    c.align && css.right,
                    pins.has(c.id) && css.pinned,
                    c.id === lastPin && css.edge,
                  )}
                  style={{ left: pins.get(c.id) }}
                >
                  {c.cell(row)}
                </div>
              ))}
            </div>
          );
        })}
      </div>
      {rows.length === 0 ? props.empty : null}
      {props.foot ? <div className={css.foot}>{props.foot}</div> : null}
    </div>
  );
}

function between<T>(rows: readonly T[], rowId: (row: T) => string, a: string, b: string): string[] {
  const ids = rows.map(rowId);
  const i = ids.indexOf(a);
  const j = ids.indexOf(b);
  return i < 0 || j < 0 ? [b] : ids.slice(Math.min(i, j), Math.max(i, j) + 1);
}
