import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { plural } from "@/base/format";
import { Button } from "@/ui/Button";
import { type Column, DataTable } from "@/ui/DataTable";
import { FilterBox } from "@/ui/FilterBox";
import { Bar, PageHeader, page } from "@/ui/Page";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { usePageSearch, useSetSearch } from "./url";

interface ListPageProps<T> {
  readonly title: string;
  /** One of what the page lists: `issue`, `MCP server`. */
  readonly noun: string;
  /** Column widths are remembered under this name. */
  readonly name: string;
  readonly query: Pick<UseQueryResult<unknown>, "isPending" | "isError" | "error" | "refetch">;
  readonly all: readonly T[];
  /** There is nothing at all, not only nothing that the tools let through. */
  readonly empty?: boolean;
  readonly columns: readonly Column<T>[];
  readonly rowId: (row: T) => string;
  /** What the filter box looks through. */
  readonly text: (row: T) => string;
  readonly placeholder: string;
  readonly onOpen: (row: T) => void;
  /** Shown instead of the table while there is nothing at all. */
  readonly lesson: ReactNode;
  readonly actions?: ReactNode;
  /** Beside the filter box. */
  readonly tools?: ReactNode;
}

/** A short list that is here as a whole: filtered by a text in the address, opened by click or Enter. */
export function ListPage<T>(props: ListPageProps<T>) {
  const { title, noun, query, all, text } = props;
  const { q = "" } = usePageSearch();
  const setSearch = useSetSearch();
  const wanted = q.toLowerCase();
  const rows = wanted ? all.filter((row) => text(row).toLowerCase().includes(wanted)) : all;
  const none = !query.isPending && !query.isError && (props.empty ?? all.length === 0);
  return (
    <>
      <PageHeader title={title} name={title}>
        {all.length > 0 ? <span className="muted num">{plural(rows.length, noun)}</span> : null}
        {props.actions}
      </PageHeader>
      {none ? null : (
        <Bar label="Filters">
          <FilterBox
            value={q}
            onChange={(next) => setSearch({ q: next })}
            label={`Filter ${noun}s`}
            placeholder={props.placeholder}
          />
          {props.tools}
        </Bar>
      )}
      <div className={none ? page.scroll : page.fill}>
        {query.isPending ? (
          <div className={page.column}>
            <LoadingRows />
          </div>
        ) : query.isError ? (
          <Failure error={query.error} retry={() => void query.refetch()} />
        ) : none ? (
          props.lesson
        ) : (
          <DataTable
            label={title}
            name={props.name}
            columns={props.columns}
            rows={rows}
            rowId={props.rowId}
            onOpen={props.onOpen}
            empty={
              <Empty
                title={`No ${noun} matches`}
                actions={q ? <Button onClick={() => setSearch({ q: "" })}>Clear the filter</Button> : null}
              />
            }
          />
        )}
      </div>
    </>
  );
}
