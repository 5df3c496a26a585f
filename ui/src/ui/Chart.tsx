import { useComputedColorScheme } from "@mantine/core";
import { useEffect, useMemo, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { compact, dateTime, duration } from "@/base/format";
import { lonely } from "@/base/points";
import css from "./Chart.module.css";

export interface ChartSeries {
  readonly label: string;
  /** A colour or a token like `var(--accent)`. */
  readonly color: string;
  readonly values: readonly (number | null | undefined)[];
  readonly kind?: "line" | "bars";
  readonly width?: number;
  readonly alpha?: number;
  readonly dash?: readonly number[];
  /** What the cursor names instead of `values`: the parts of a stack. */
  readonly shown?: readonly (number | null | undefined)[];
  /** Drawn but not named at the cursor (faint raw curves, edges of bands). */
  readonly quiet?: boolean;
}

/** A filled area between two series, by their index. */
export interface ChartBand {
  readonly upper: number;
  readonly lower: number;
  readonly color: string;
  readonly alpha: number;
}

export interface ChartProps {
  readonly label: string;
  readonly x: readonly number[];
  /** What x is: steps, times of day, or milliseconds since the start. */
  readonly xKind: "number" | "time" | "elapsed";
  readonly series: readonly ChartSeries[];
  readonly bands?: readonly ChartBand[];
  readonly height: number;
  readonly log?: boolean;
  /** Start the y axis at zero. */
  readonly zero?: boolean;
  readonly format: (value: number) => string;
  /** Cursors of charts with the same name move together. */
  readonly sync?: string;
  /** Draw lines across missing values. */
  readonly join?: boolean;
  /** The visible part of x; null for all of it. */
  readonly range?: readonly [number, number] | null;
  /** Dragging over the plot; null for a double click. */
  readonly onRange?: (range: readonly [number, number] | null) => void;
}

/** Curves and bars on a canvas. The plot is built once per shape of its series and then only fed new numbers. */
export function Chart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const scheme = useComputedColorScheme("light");
  const data = useMemo(
    () => [props.x, ...props.series.map((s) => s.values)] as unknown as uPlot.AlignedData,
    [props.x, props.series],
  );
  const shape = [
    scheme,
    props.height,
    props.log,
    props.zero,
    props.xKind,
    props.sync,
    ...props.series.map((s) => `${s.label}|${s.color}|${s.kind}|${s.width}|${s.alpha}|${s.dash}|${s.quiet}`),
    ...(props.bands ?? []).map((b) => `${b.upper}|${b.lower}|${b.color}|${b.alpha}`),
  ].join("\n");

  // biome-ignore lint/correctness/useExhaustiveDependencies: the shape stands for everything the plot is built from
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const made = new uPlot(options(latest, element), data, element);
    plot.current = made;
    const observer = new ResizeObserver(() => {
      const width = element.clientWidth;
      if (width > 0 && width !== made.width) made.setSize({ width, height: latest.current.height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [shape]);

  const low = props.range?.[0];
  const high = props.range?.[1];
  // biome-ignore lint/correctness/useExhaustiveDependencies: the range is read through the ref
  useEffect(() => {
    const made = plot.current;
    if (!made) return;
    made.batch(() => {
      made.setData(data, false);
      const span = xSpan(latest.current);
      made.setScale("x", { min: span[0], max: span[1] });
    });
  }, [data, low, high, shape]);

  return (
    <div
      ref={box}
      className={css.chart}
      style={{ height: props.height }}
      role="img"
      aria-label={props.label}
      data-points={props.x.length}
    />
  );
}

function xSpan(props: ChartProps): [number, number] {
  if (props.range) return [props.range[0], props.range[1]];
  const first = props.x[0] ?? 0;
  const newest = props.x[props.x.length - 1] ?? 1;
  // A bar stands for the time from its x on, so the last one needs room to its right.
  const bars = props.series.some((s) => s.kind === "bars");
  const last = bars && props.x.length > 1 ? newest + ((props.x[1] ?? 0) - first) : newest;
  return first === last ? [first - 0.5, last + 0.5] : [first, last];
}

function options(latest: { readonly current: ChartProps }, element: HTMLElement): uPlot.Options {
  const props = latest.current;
  const paint = (color: string) => resolve(element, color);
  const text = paint("var(--text-3)");
  const grid = paint("var(--chart-grid)");
  const font = `10px ${getComputedStyle(element).fontFamily}`;
  const { tip, plugin } = tooltip(latest, paint);
  element.append(tip);
  return {
    width: Math.max(element.clientWidth, 60),
    height: props.height,
    padding: [8, 10, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      points: { show: true, size: 6 },
      drag: { x: props.onRange !== undefined, y: false, setScale: false },
      ...(props.sync ? { sync: { key: props.sync, setSeries: false } } : {}),
      bind: {
        dblclick: () => () => {
          latest.current.onRange?.(null);
          return null;
        },
      },
    },
    scales: {
      x: { time: false, range: () => xSpan(latest.current) },
      y: {
        distr: props.log ? 3 : 1,
        range: (_u, min, max) => yRange(min, max, props),
      },
    },
    axes: [
      {
        stroke: text,
        font,
        size: 20,
        gap: 2,
        grid: { show: false },
        ticks: { show: false },
        space: props.xKind === "time" ? 84 : 56,
        values: (u, splits) =>
          splits.map((v) => xText(v, props.xKind, (u.scales.x?.max ?? 0) - (u.scales.x?.min ?? 0))),
        ...(props.xKind === "time"
          ? { splits: (u: uPlot) => timeSplits(u.scales.x?.min ?? 0, u.scales.x?.max ?? 1, u.width) }
          : {}),
      },
      {
        stroke: text,
        font,
        size: (u, values) => Math.max(46, 8 + widest(u, values ?? [])),
        gap: 4,
        grid: { stroke: grid, width: 1 },
        ticks: { show: false },
        space: 30,
        values: (_u, splits) => splits.map((v) => (v === null ? "" : props.format(v))),
      },
    ],
    series: [
      {},
      ...props.series.map((s): uPlot.Series => {
        const stroke = fade(paint(s.color), s.alpha ?? 1);
        if (s.kind === "bars") {
          return {
            stroke,
            fill: stroke,
            width: 0,
            points: { show: false },
            ...(uPlot.paths.bars ? { paths: uPlot.paths.bars({ size: [0.72, 24], align: 1 }) } : {}),
          };
        }
        return {
          stroke,
          width: s.width ?? 1.5,
          ...(s.dash ? { dash: [...s.dash] } : {}),
          points: {
            show: false,
            filter: (u, i) => {
              const found = s.quiet ? [] : lonely(u.data[i] ?? [], props.join ?? false);
              return found.length > 0 ? found : null;
            },
            size: 5,
            fill: stroke,
          },
          spanGaps: props.join ?? false,
        };
      }),
    ],
    bands: (props.bands ?? []).map((b) => ({
      series: [b.upper + 1, b.lower + 1],
      fill: fade(paint(b.color), b.alpha),
    })),
    hooks: {
      setSelect: [
        (u) => {
          if (u.select.width < 4) return;
          const from = u.posToVal(u.select.left, "x");
          const to = u.posToVal(u.select.left + u.select.width, "x");
          u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          latest.current.onRange?.([from, to]);
        },
      ],
    },
    plugins: [plugin],
  };
}

/** Width in CSS pixels of the longest label, so that none is cut off. */
function widest(u: uPlot, labels: readonly string[]): number {
  u.ctx.save();
  u.ctx.font = `${10 * devicePixelRatio}px ${getComputedStyle(u.root).fontFamily}`;
  const width = Math.max(0, ...labels.map((label) => u.ctx.measureText(label).width));
  u.ctx.restore();
  return Math.ceil(width / devicePixelRatio);
}

function yRange(min: number | null, max: number | null, props: ChartProps): uPlot.Range.MinMax {
  if (min === null || max === null) return props.log ? [1, 10] : [0, 1];
  if (props.log) return min > 0 ? [min / 1.3, max * 1.3] : [Math.max(Number.MIN_VALUE, max / 1e6), max * 1.3];
  if (props.zero) return [Math.min(0, min), max <= 0 ? 1 : max * 1.08];
  if (min === max) {
    const pad = Math.abs(min) * 0.1 || 0.5;
    return [min - pad, max + pad];
  }
  const pad = (max - min) * 0.06;
  return [min - pad, max + pad];
}

const HOUR = 3_600_000;
const STEPS = [
  1e3,
  5e3,
  1e4,
  3e4,
  6e4,
  3e5,
  6e5,
  18e5,
  HOUR,
  3 * HOUR,
  6 * HOUR,
  12 * HOUR,
  24 * HOUR,
  48 * HOUR,
  168 * HOUR,
  720 * HOUR,
];

/** Round times of the reader's own clock. */
function timeSplits(min: number, max: number, width: number): number[] {
  const wanted = (max - min) / Math.max(2, Math.floor(width / 88));
  const step = STEPS.find((s) => s >= wanted) ?? 2_160 * HOUR;
  const offset = new Date(min).getTimezoneOffset() * 60_000;
  const out: number[] = [];
  // A label needs room on both sides of its mark.
  const room = ((max - min) / Math.max(100, width - 56)) * 18;
  for (let t = Math.ceil((min - offset) / step) * step + offset; t <= max - room; t += step) {
    if (t >= min + room) out.push(t);
  }
  return out;
}

function xText(value: number, kind: ChartProps["xKind"], span: number): string {
  if (kind === "elapsed") return duration(Math.max(0, value)).replace(/\.0+s/, "s");
  if (kind === "number") return Number.isInteger(value) ? compact(value) : "";
  const text = dateTime(value);
  if (span <= 5 * 60_000) return text.slice(11);
  if (span <= 36 * HOUR) return text.slice(11, 16);
  return text.slice(11, 16) === "00:00" || span > 10 * 24 * HOUR ? text.slice(5, 10) : text.slice(5, 16);
}

/** The value of a token where the chart stands: canvases know no CSS variables. */
function resolve(element: HTMLElement, color: string): string {
  const name = /^var\((--[\w-]+)\)$/.exec(color)?.[1];
  return name ? getComputedStyle(element).getPropertyValue(name).trim() || "#888888" : color;
}

function fade(color: string, alpha: number): string {
  if (alpha >= 1 || !/^#[0-9a-f]{6}$/i.test(color)) return color;
  return `${color}${Math.round(alpha * 255)
    .toString(16)
    .padStart(2, "0")}`;
}

const SHOWN = 14;

/** The values at the cursor, largest first. Text only: names of runs and metrics are data. */
function tooltip(
  latest: { readonly current: ChartProps },
  paint: (color: string) => string,
): { tip: HTMLElement; plugin: uPlot.Plugin } {
  const tip = document.createElement("div");
  tip.className = css.tip ?? "";
  tip.hidden = true;
  const plugin: uPlot.Plugin = {
    hooks: {
      setCursor: (u) => {
        const { idx, left, top } = u.cursor;
        if (idx === null || idx === undefined || left === undefined || left < 0) {
          tip.hidden = true;
          return;
        }
        const props = latest.current;
        const rows: { label: string; color: string; value: number }[] = [];
        props.series.forEach((s) => {
          if (s.quiet) return;
          const named = s.shown ?? s.values;
          const value = named[idx] ?? near(named, idx);
          if (value !== null && value !== undefined) rows.push({ label: s.label, color: s.color, value });
        });
        if (rows.length === 0) {
          tip.hidden = true;
          return;
        }
        if (props.series.every((s) => s.kind !== "bars")) rows.sort((a, b) => b.value - a.value);
        const x = props.x[idx] ?? 0;
        const head = node(
          "div",
          css.x,
          props.xKind === "time"
            ? dateTime(x)
            : props.xKind === "elapsed"
              ? duration(x)
              : `step ${x.toLocaleString("en-US")}`,
        );
        const lines = rows.slice(0, SHOWN).map((row) => {
          const line = node("div", css.line);
          const dot = node("i", css.dot);
          dot.style.background = paint(row.color);
          line.append(dot, node("span", undefined, row.label), node("b", undefined, props.format(row.value)));
          return line;
        });
        if (rows.length > SHOWN) lines.push(node("div", css.x, `and ${rows.length - SHOWN} more`));
        tip.replaceChildren(head, ...lines);
        tip.hidden = false;
        const plotLeft = u.bbox.left / devicePixelRatio;
        const width = tip.offsetWidth;
        const right = plotLeft + left + 14 + width < u.width;
        tip.style.transform = `translate(${right ? plotLeft + left + 14 : Math.max(0, plotLeft + left - 14 - width)}px, ${Math.max(0, Math.min((top ?? 0) - 10, u.height - tip.offsetHeight))}px)`;
      },
      destroy: () => tip.remove(),
    },
  };
  return { tip, plugin };
}

function node(tag: string, className?: string, text?: string): HTMLElement {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

/** A curve with fewer points than the common axis: its nearest point within a few slots. */
function near(values: readonly (number | null | undefined)[], idx: number): number | null {
  for (let d = 1; d <= 24; d++) {
    const found = values[idx - d] ?? values[idx + d];
    if (found !== null && found !== undefined) return found;
  }
  return null;
}
