import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import { useLive } from "@/api/live";

const REFRESH_MS = 250;

/** Reload the curves and numbers of these runs as their metrics grow; a burst of points costs one reload. */
export function useLiveMetrics(projectId: string, runIds: readonly string[]): void {
  const queries = useQueryClient();
  const timer = useRef(0);
  const keys = useRef(new Set<string>());
  const runs = useRef(new Set<string>());
  useEffect(() => () => window.clearTimeout(timer.current), []);
  useLive((events) => {
    let all = false;
    for (const event of events) {
      if (event.kind === "gap") all = true;
      else if ((event.kind === "metric" || event.kind === "run") && runIds.includes(event.id)) {
        runs.current.add(event.id);
        for (const key of event.keys ?? []) keys.current.add(key);
      }
    }
    if (all) for (const id of runIds) runs.current.add(id);
    if (runs.current.size === 0 || timer.current !== 0) return;
    timer.current = window.setTimeout(() => {
      timer.current = 0;
      const grown = new Set(keys.current);
      keys.current.clear();
      const changed = [...runs.current];
      runs.current.clear();
      void queries.invalidateQueries({
        predicate: ({ queryKey: [project, noun, key] }) =>
          project === projectId &&
          (noun === "series"
            ? all || grown.has(String(key))
            : noun === "run"
              ? changed.includes(String(key))
              : noun === "compare"),
      });
    }, REFRESH_MS);
  });
}
