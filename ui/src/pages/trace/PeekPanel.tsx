import { Link } from "@tanstack/react-router";
import { ChevronDown, ChevronUp, Maximize2, X } from "lucide-react";
import { shortId } from "@/base/format";
import { IconButton } from "@/ui/Button";
import { CopyButton } from "@/ui/Copy";
import { useHotkeys } from "@/ui/hotkeys";
import { Empty, Failure } from "@/ui/State";
import css from "./PeekPanel.module.css";
import { TraceLoading, TraceView } from "./TraceView";
import { useTrace } from "./use-trace";

interface PeekPanelProps {
  readonly projectId: string;
  readonly traceId: string;
  readonly onClose: () => void;
  readonly onStep: (by: number) => void;
  readonly hasPrevious: boolean;
  readonly hasNext: boolean;
}

/** A trace beside its list: j and k go on through the list, Enter opens the page, Escape closes. */
export function PeekPanel({ projectId, traceId, onClose, onStep, hasPrevious, hasNext }: PeekPanelProps) {
  const { query, spans, gone } = useTrace(projectId, traceId);
  useHotkeys([{ keys: "escape", label: "Close the panel", group: "List", run: onClose }]);
  const name = query.data?.trace.name ?? shortId(traceId);
  return (
    <aside className={css.panel} aria-label={`Trace ${name}`}>
      <div className={css.head}>
        <Link
          to="/project/$projectId/traces/$traceId"
          params={{ projectId, traceId }}
          className={`${css.name} ellipsis`}
        >
          {name}
        </Link>
        <CopyButton text={traceId} label="Copy the trace id" />
        <IconButton label="Previous trace" keys="k" small disabled={!hasPrevious} onClick={() => onStep(-1)}>
          <ChevronUp size={15} aria-hidden="true" />
        </IconButton>
        <IconButton label="Next trace" keys="j" small disabled={!hasNext} onClick={() => onStep(1)}>
          <ChevronDown size={15} aria-hidden="true" />
        </IconButton>
        <Link
          to="/project/$projectId/traces/$traceId"
          params={{ projectId, traceId }}
          aria-label="Open the page of this trace"
          title="Open the page (Enter)"
          style={{ display: "grid", placeItems: "center", width: 24, height: 24 }}
        >
          <Maximize2 size={14} aria-hidden="true" />
        </Link>
        <IconButton label="Close" keys="Esc" small onClick={onClose}>
          <X size={15} aria-hidden="true" />
        </IconButton>
      </div>
      {gone ? (
        <Empty title="This trace was deleted" />
      ) : query.data ? (
        <TraceView projectId={projectId} detail={query.data} spans={spans} stacked />
      ) : query.isError ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : (
        <TraceLoading />
      )}
    </aside>
  );
}
