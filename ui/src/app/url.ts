/** The state of a page is its address. Values are plain text; `undefined` or "" removes one. */
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { useCallback } from "react";
import type { Search } from "@/base/search";

export function usePageSearch(): Search {
  return useSearch({ strict: false }) as Search;
}

/** Change some values of the address. `replace` (the default) keeps the back button meaning "the page before". */
export function useSetSearch(): (patch: Search, options?: { replace?: boolean }) => void {
  const navigate = useNavigate();
  return useCallback(
    (patch, options) => {
      void navigate({
        to: ".",
        search: ((before: Search) => {
          const next: Search = { ...before, ...patch };
          for (const key of Object.keys(next)) if (next[key] === undefined || next[key] === "") delete next[key];
          return next;
        }) as never,
        replace: options?.replace ?? true,
        resetScroll: false,
      });
    },
    [navigate],
  );
}

export function useProjectId(): string {
  const { projectId } = useParams({ strict: false }) as { projectId?: string };
  return projectId ?? "default";
}
