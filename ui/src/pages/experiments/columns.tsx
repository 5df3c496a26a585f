import { Link } from "@tanstack/react-router";
import { ChevronRight } from "lucide-react";
import type { RunRow } from "@/api/types";
import { colorOf } from "@/base/color";
import { ago, dateTime, duration, metric, shortId } from "@/base/format";
import { metricNumber, type NestedRun, quoteKey } from "@/base/runs";
import { runStatus, StatusText } from "@/ui/Chip";
import type { ColumnChoice } from "@/ui/ColumnMenu";
import type { Column } from "@/ui/DataTable";
import { useNow } from "@/ui/time";
import css from "./Experiment.module.css";

export type Row = NestedRun<RunRow>;

/** Columns every run has. `sort` is the identifier in MLflow's grammar. */
const FIXED: Record<string, Omit<Column<Row>, "id">> = {
  status: {
    label: "Status",
    width: 104,
    sort: "attributes.status",
    cell: ({ run }) => {
      const status = runStatus(run.status);
      return <StatusText status={status.name}>{status.label}</StatusText>;
    },
  },
  start: { label: "Started", width: 96, sort: "attributes.start_time", cell: ({ run }) => <Ago ms={run.start_ms} /> },
  duration: {
    label: "Duration",
    width: 84,
    align: "right",
    cell: ({ run }) => <span>{duration(run.duration_ms)}</span>,
  },
  user: { label: "User", width: 90, sort: "attributes.user_id", cell: ({ run }) => <span>{run.user}</span> },
  source: { label: "Source", width: 120, cell: ({ run }) => <span>{run.tags?.["mlflow.source.name"]}</span> },
  commit: {
    label: "Commit",
    width: 90,
    cell: ({ run }) => <span className="mono">{run.tags?.["mlflow.source.git.commit"]?.slice(0, 8)}</span>,
  },
  note: {
    label: "Notes",
    width: 180,
    cell: ({ run }) => <span className="muted">{run.tags?.["mlflow.note.content"]}</span>,
  },
  id: {
    label: "Run id",
    width: 110,
    sort: "attributes.run_id",
    cell: ({ run }) => <span className="mono">{run.run_id}</span>,
  },
};

function Ago({ ms }: { readonly ms: number | null }) {
  const now = useNow();
  return <span title={dateTime(ms)}>{ago(ms, now)}</span>;
}

interface Context {
  readonly projectId: string;
  readonly nested: boolean;
  readonly folded: ReadonlySet<string>;
  readonly onFold: (id: string) => void;
}

/** The run's name, always first and always in sight; children are indented below their parent. */
function nameColumn({ projectId, nested, folded, onFold }: Context): Column<Row> {
  return {
    id: "name",
    label: "Run",
    width: 230,
    sort: "attributes.run_name",
    pinned: true,
    cell: ({ run, depth, children }) => (
      <span className={css.run} style={{ paddingLeft: nested ? depth * 18 : 0 }}>
        {nested && children > 0 ? (
          <button
            type="button"
            className={css.fold}
            aria-expanded={!folded.has(run.run_id)}
            aria-label={folded.has(run.run_id) ? `Show ${children} child runs` : "Hide the child runs"}
            onClick={() => onFold(run.run_id)}
          >
            <ChevronRight size={12} aria-hidden="true" />
          </button>
        ) : nested ? (
          <span className={css.fold} />
        ) : null}
        <i className={css.dot} style={{ background: colorOf(run.run_id) }} aria-hidden="true" />
        <Link
          to="/project/$projectId/experiments/$experimentId/runs/$runId"
          params={{ projectId, experimentId: run.experiment_id, runId: run.run_id }}
          className={css.name}
          title={run.name || run.run_id}
        >
          {run.name || shortId(run.run_id)}
        </Link>
        {nested && folded.has(run.run_id) ? <span className="muted">+{children}</span> : null}
      </span>
    ),
  };
}

/** The columns named by `ids` (`status`, `m:loss`, `p:lr`, `t:team`); names that mean nothing are left out. */
export function runColumns(ids: readonly string[], context: Context): Column<Row>[] {
  const out: Column<Row>[] = [nameColumn(context)];
  for (const id of ids) {
    const key = id.slice(2);
    const fixed = FIXED[id];
    if (fixed) out.push({ id, ...fixed });
    else if (id.startsWith("m:")) {
      out.push({
        id,
        label: key,
        width: 112,
        align: "right",
        sort: quoteKey("metrics", key),
        cell: ({ run }) => <span>{metric(metricNumber(run.metrics?.[key]?.value))}</span>,
      });
    } else if (id.startsWith("p:")) {
      out.push({
        id,
        label: key,
        width: 104,
        sort: quoteKey("params", key),
        cell: ({ run }) => <span title={run.params?.[key]}>{run.params?.[key]}</span>,
      });
    } else if (id.startsWith("t:")) {
      out.push({
        id,
        label: key,
        width: 104,
        sort: quoteKey("tags", key),
        cell: ({ run }) => <span title={run.tags?.[key]}>{run.tags?.[key]}</span>,
      });
    }
  }
  return out;
}

/** What the column chooser offers. */
export function runChoices(
  metricKeys: readonly string[],
  paramKeys: readonly string[],
  tagKeys: readonly string[],
): ColumnChoice[] {
  return [
    ...Object.entries(FIXED).map(([id, c]) => ({ id, label: c.label, group: "Run" })),
    ...metricKeys.map((k) => ({ id: `m:${k}`, label: k, group: "Metrics" })),
    ...paramKeys.map((k) => ({ id: `p:${k}`, label: k, group: "Params" })),
    ...tagKeys.filter((k) => !k.startsWith("mlflow.")).map((k) => ({ id: `t:${k}`, label: k, group: "Tags" })),
  ];
}
