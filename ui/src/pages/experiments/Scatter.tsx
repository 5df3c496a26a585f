import { Link } from "@tanstack/react-router";
import type { RunCompare } from "@/api/types";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { metric, shortId } from "@/base/format";
import { makeAxis } from "@/base/parallel";
import { metricNumber } from "@/base/runs";
import { Field, Select } from "@/ui/Field";
import { Empty } from "@/ui/State";
import css from "./Experiment.module.css";

const WIDTH = 1_000;
const HEIGHT = 440;
const LEFT = 90;
const EDGE = 30;

interface ScatterProps {
  readonly data: RunCompare;
  readonly colors: ReadonlyMap<string, string>;
}

/** Each run a point: one param or metric against another. */
export function Scatter({ data, colors }: ScatterProps) {
  const projectId = useProjectId();
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const params = [...new Set(data.runs.flatMap((r) => Object.keys(r.params ?? {})))].sort();
  const metrics = [...new Set(data.runs.flatMap((r) => Object.keys(r.metrics ?? {})))].sort();
  const [param] = data.differing_params;
  const [first, second] = [...data.differing_metrics.filter((k) => !k.startsWith("system/")), ...metrics];
  const xId = search.x ?? (param ? `p:${param}` : `m:${first ?? ""}`);
  const yId = search.y ?? `m:${(param ? first : second) ?? ""}`;
  const axis = (id: string) =>
    makeAxis(
      id,
      id.slice(2),
      data.runs.map((r) =>
        id.startsWith("p:") ? r.params?.[id.slice(2)] : metricNumber(r.metrics?.[id.slice(2)]?.value),
      ),
      metric,
    );
  const x = axis(xId);
  const y = axis(yId);
  const left = (at: number) => LEFT + at * (WIDTH - LEFT - EDGE);
  const top = (at: number) => EDGE + (1 - at) * (HEIGHT - 2 * EDGE - 20);
  const choose = (label: string, value: string, onPick: (id: string) => void) => (
    <Field label={label}>
      <Select value={value} onChange={(e) => onPick(e.currentTarget.value)}>
        <optgroup label="Metrics">
          {metrics.map((k) => (
            <option key={k} value={`m:${k}`}>
              {k}
            </option>
          ))}
        </optgroup>
        <optgroup label="Params">
          {params.map((k) => (
            <option key={k} value={`p:${k}`}>
              {k}
            </option>
          ))}
        </optgroup>
      </Select>
    </Field>
  );
  return (
    <div className={css.parallel}>
      <div className={css.picks}>
        {choose("Across", xId, (id) => setSearch({ x: id }))}
        {choose("Up", yId, (id) => setSearch({ y: id }))}
      </div>
      {x && y ? (
        <svg
          className={css.plot}
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          role="group"
          aria-label={`${y.label} against ${x.label} of ${data.runs.length} runs`}
        >
          <line className={css.axis} x1={left(0)} x2={left(1)} y1={top(0) + 14} y2={top(0) + 14} />
          <line className={css.axis} x1={left(0) - 14} x2={left(0) - 14} y1={top(0)} y2={top(1)} />
          {x.ticks.map((tick) => (
            <text key={tick.at} x={left(tick.at)} y={top(0) + 30} textAnchor="middle">
              {tick.text}
            </text>
          ))}
          {y.ticks.map((tick) => (
            <text key={tick.at} x={left(0) - 20} y={top(tick.at) + 4} textAnchor="end">
              {tick.text.slice(0, 12)}
            </text>
          ))}
          {data.runs.map((run, row) => {
            const [across, up] = [x.places[row], y.places[row]];
            if (across === null || across === undefined || up === null || up === undefined) return null;
            const name = run.name || shortId(run.run_id);
            return (
              <Link
                key={run.run_id}
                to="/project/$projectId/experiments/$experimentId/runs/$runId"
                params={{ projectId, experimentId: run.experiment_id, runId: run.run_id }}
                aria-label={name}
              >
                <circle cx={left(across)} cy={top(up)} r={7} fill={colors.get(run.run_id)}>
                  <title>{name}</title>
                </circle>
              </Link>
            );
          })}
        </svg>
      ) : (
        <Empty title="Nothing to draw">Pick two values that these runs have.</Empty>
      )}
    </div>
  );
}
