import { useState } from "react";
import { readStored, writeStored } from "@/ui/stored";
import { usePageSearch, useSetSearch } from "./url";

/**
 * The columns of a list as text: those of the address, so that a link shows what its sender saw, else those chosen here
 * last. Undefined stands for the usual ones.
 */
export function useColumnChoice(list: string): [string | undefined, (columns: string | undefined) => void] {
  const key = `twinlens.columns.${list}`;
  const { cols } = usePageSearch();
  const setSearch = useSetSearch();
  const [kept, setKept] = useState<string | null>(() => readStored<string | null>(key, null));
  const choose = (columns: string | undefined) => {
    writeStored(key, columns ?? null);
    setKept(columns ?? null);
    setSearch({ cols: columns });
  };
  return [cols ?? kept ?? undefined, choose];
}
