import type { QueueRow } from "@/api/types";
import css from "./Annotation.module.css";

/** How far a queue is. */
export function Progress({ queue }: { readonly queue: QueueRow }) {
  const total = queue.pending + queue.completed + queue.declined;
  const done = queue.completed + queue.declined;
  const share = (n: number) => `${total === 0 ? 0 : (100 * n) / total}%`;
  return (
    <span className={css.row} style={{ minWidth: 160, flexWrap: "nowrap" }}>
      <span
        className={css.progress}
        role="progressbar"
        aria-label={`Progress of ${queue.name}`}
        aria-valuemin={0}
        aria-valuemax={total}
        aria-valuenow={done}
      >
        <i style={{ width: share(queue.completed) }} />
        <i data-part="declined" style={{ width: share(queue.declined) }} />
      </span>
      <span className="muted num">
        {done} / {total}
      </span>
    </span>
  );
}
