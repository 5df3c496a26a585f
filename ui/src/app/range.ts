import { useMemo } from "react";
import { bounds, parseRange, type Range } from "@/base/range";
import { usePageSearch } from "./url";

/** The page's time range from `?range=`; `resolve` gives its bounds at the moment of asking, so relative ranges move. */
export function useRange(fallback: string): {
  range: Range;
  key: string;
  resolve: () => { from: number | null; to: number | null };
} {
  const { range: text } = usePageSearch();
  return useMemo(() => {
    const range = parseRange(text) ?? parseRange(fallback) ?? { kind: "all" as const };
    return { range, key: text ?? fallback, resolve: () => bounds(range, Date.now()) };
  }, [text, fallback]);
}
