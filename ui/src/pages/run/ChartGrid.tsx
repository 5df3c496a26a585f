import { Modal } from "@mantine/core";
import { useDeferredValue, useMemo, useState } from "react";
import { usePageSearch, useSetSearch } from "@/app/url";
import { groupKeys, readColumns, sortKeys, writeColumns } from "@/base/runs";
import { Button } from "@/ui/Button";
import { Input } from "@/ui/Field";
import { Segmented } from "@/ui/Segmented";
import { Empty } from "@/ui/State";
import css from "./ChartGrid.module.css";
import type { CurveRun, XAxis } from "./curves";
import { MetricChart } from "./MetricChart";

interface ChartGridProps {
  readonly projectId: string;
  readonly runs: readonly CurveRun[];
  readonly keys: readonly string[];
  readonly empty: string;
}

const FIRST = 24;
/** A few charts need no headings between them. */
const FLAT_UP_TO = 12;

/** Charts of metrics, in groups by prefix. Thousands of keys cost nothing: only charts in sight load, and search finds the rest. */
export function ChartGrid({ projectId, runs, keys, empty }: ChartGridProps) {
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const [text, setText] = useState("");
  const wanted = useDeferredValue(text.trim().toLowerCase());
  const [limit, setLimit] = useState(FIRST);
  const [large, setLarge] = useState<string | null>(null);
  const x: XAxis = search.x === "time" || search.x === "relative" ? search.x : "step";
  const smooth = Math.max(0, Math.min(0.99, Number(search.smooth) || 0));
  const log = search.log === "1";
  const settings = useMemo(() => ({ x, smooth, log }), [x, smooth, log]);
  const pins = useMemo(() => readColumns(search.pin ?? ""), [search.pin]);
  const matching = useMemo(() => keys.filter((k) => k.toLowerCase().includes(wanted)), [keys, wanted]);
  const pinned = pins.filter((k) => matching.includes(k));
  const groups = useMemo(() => {
    const rest = matching.filter((k) => !pins.includes(k)).slice(0, limit);
    return keys.length <= FLAT_UP_TO && rest.length > 0 ? [{ name: "", keys: sortKeys(rest) }] : groupKeys(rest);
  }, [keys.length, matching, pins, limit]);
  const few = keys.length <= 6;
  const pin = (key: string) =>
    setSearch({ pin: writeColumns(pins.includes(key) ? pins.filter((p) => p !== key) : [...pins, key]) || undefined });
  const chart = (key: string) => (
    <MetricChart
      key={key}
      projectId={projectId}
      metricKey={key}
      runs={runs}
      settings={settings}
      height={few ? 240 : 190}
      pinned={pins.includes(key)}
      onPin={() => pin(key)}
      onExpand={() => setLarge(key)}
    />
  );
  return (
    <>
      <div className={css.bar} role="toolbar" aria-label="Charts">
        <Input
          className={css.search}
          placeholder={`Search ${keys.length} metrics`}
          aria-label="Search metrics"
          value={text}
          onChange={(e) => setText(e.currentTarget.value)}
        />
        <Segmented
          label="X axis"
          value={x}
          options={[
            { value: "step", label: "Step" },
            { value: "time", label: "Time" },
            { value: "relative", label: "Relative" },
          ]}
          onChange={(value) => setSearch({ x: value === "step" ? undefined : value })}
        />
        <label className={css.smooth}>
          Smoothing
          <input
            type="range"
            min={0}
            max={0.99}
            step={0.01}
            value={smooth}
            onChange={(e) => setSearch({ smooth: e.currentTarget.value === "0" ? undefined : e.currentTarget.value })}
          />
          <output>{smooth.toFixed(2)}</output>
        </label>
        <label className={css.check}>
          <input type="checkbox" checked={log} onChange={() => setSearch({ log: log ? undefined : "1" })} />
          Log scale
        </label>
      </div>
      <div className={css.body}>
        {keys.length === 0 ? <Empty title="No curves yet">{empty}</Empty> : null}
        {keys.length > 0 && matching.length === 0 ? <Empty title="No metric of that name" /> : null}
        {pinned.length > 0 ? (
          <section className={css.group}>
            <h3 className={css.title}>Pinned</h3>
            <div className={css.grid} data-few={few}>
              {pinned.map(chart)}
            </div>
          </section>
        ) : null}
        {groups.map((group) => (
          <section key={group.name} className={css.group}>
            {groups.length > 1 || group.name || pinned.length > 0 ? (
              <h3 className={css.title}>{group.name || "Metrics"}</h3>
            ) : null}
            <div className={css.grid} data-few={few}>
              {group.keys.map(chart)}
            </div>
          </section>
        ))}
        {matching.length > limit + pinned.length ? (
          <Button className={css.more} onClick={() => setLimit(limit + FIRST)}>
            Show {Math.min(FIRST, matching.length - limit - pinned.length)} more of{" "}
            {matching.length.toLocaleString("en-US")}
          </Button>
        ) : null}
      </div>
      {large !== null ? (
        <Modal opened onClose={() => setLarge(null)} title={large} size="min(1200px, 92vw)">
          <MetricChart projectId={projectId} metricKey={large} runs={runs} settings={settings} height={460} />
        </Modal>
      ) : null}
    </>
  );
}
