import { Layers } from "lucide-react";
import { useCallback } from "react";
import type { TraceDetail } from "@/api/types";
import { usePageSearch, useSetSearch } from "@/app/url";
import { Button } from "@/ui/Button";
import { Splitter, useShare } from "@/ui/Splitter";
import { Bar } from "@/ui/State";
import { SpanPane } from "./SpanPane";
import { SpanTree } from "./SpanTree";
import { TraceFacts } from "./TraceFacts";
import css from "./TraceView.module.css";
import type { ViewSpan } from "./use-trace";

interface TraceViewProps {
  readonly projectId: string;
  readonly detail: TraceDetail;
  readonly spans: readonly ViewSpan[];
  /** In the peek panel the tree stands above the span, without bars. */
  readonly stacked?: boolean;
}

/** Tree, waterfall and the selected span. `?span=` is the selection; `trace` stands for the whole. */
export function TraceView({ projectId, detail, spans, stacked = false }: TraceViewProps) {
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const [share, setShare] = useShare(stacked ? "peek-tree" : "trace-tree", stacked ? 0.34 : 0.5);
  const root = detail.root_span_id ?? spans[0]?.id ?? null;
  const whole = search.span === "trace" || spans.length === 0;
  const wanted = search.span ?? root;
  const span = whole
    ? null
    : ((spans.find((s) => s.id === wanted) ?? spans.find((s) => s.id === root) ?? spans[0])?.row ?? null);
  const select = useCallback((id: string) => setSearch({ span: id === root ? undefined : id }), [root, setSearch]);
  const size = `${share * 100}%`;
  return (
    <>
      <TraceFacts projectId={projectId} detail={detail} />
      {detail.truncated ? (
        <div className={css.note}>
          This trace has more spans than are shown here: the first {spans.length.toLocaleString("en-US")} by start time.
        </div>
      ) : null}
      <div className={css.view} data-stacked={stacked}>
        {spans.length > 0 ? (
          <>
            <div className={css.part} style={stacked ? { height: size } : { width: size }}>
              <SpanTree
                key={detail.trace.trace_id}
                spans={spans}
                selected={span?.span_id ?? null}
                onSelect={select}
                waterfall={!stacked}
                tools={
                  <Button
                    small
                    look="ghost"
                    active={whole}
                    icon={<Layers size={13} aria-hidden="true" />}
                    aria-pressed={whole}
                    onClick={() => setSearch({ span: whole ? undefined : "trace" })}
                  >
                    Trace
                  </Button>
                }
              />
            </div>
            <Splitter
              label="Resize the tree"
              direction={stacked ? "horizontal" : "vertical"}
              value={share}
              onChange={setShare}
            />
          </>
        ) : null}
        <div className={css.rest}>
          <SpanPane projectId={projectId} detail={detail} span={span} />
        </div>
      </div>
    </>
  );
}

export function TraceLoading() {
  return (
    <div className={css.loading} role="status" aria-label="Loading the trace">
      {["50%", "42%", "36%", "44%", "30%", "38%", "26%"].map((w, i) => (
        <Bar key={w} width={w} height={i === 0 ? 14 : 10} />
      ))}
    </div>
  );
}
