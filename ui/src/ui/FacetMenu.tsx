import { Popover } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { ChevronDown } from "lucide-react";
import { useDeferredValue, useState } from "react";
import { traceValuesQuery } from "@/api/queries";
import { pickedValues, toggleValue } from "@/base/filter";
import { compact } from "@/base/format";
import { Button } from "./Button";
import { Input } from "./Field";
import css from "./Menu.module.css";

interface FacetMenuProps {
  readonly projectId: string;
  readonly label: string;
  /** A word of the filter language. */
  readonly field: string;
  readonly filter: string;
  readonly onFilter: (filter: string) => void;
}

/** The values of one field with their counts; ticking one edits the filter text. */
export function FacetMenu({ projectId, label, field, filter, onFilter }: FacetMenuProps) {
  const [open, setOpen] = useState(false);
  const [text, setText] = useState("");
  const prefix = useDeferredValue(text);
  const values = useQuery(traceValuesQuery(projectId, field, prefix, open));
  const picked = pickedValues(filter, field);
  const found = values.data?.values ?? [];
  const missing = [...picked].filter((v) => !found.some((f) => f.value === v));
  return (
    <Popover opened={open} onChange={setOpen} withinPortal trapFocus returnFocus>
      <Popover.Target>
        <Button
          onClick={() => setOpen((was) => !was)}
          count={picked.size}
          active={picked.size > 0}
          aria-haspopup="dialog"
        >
          {label}
          <ChevronDown size={13} aria-hidden="true" />
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <div className={css.panel} role="group" aria-label={label}>
          <div className={css.search}>
            <Input
              data-autofocus
              placeholder={`Search ${label.toLowerCase()}`}
              aria-label={`Search ${label.toLowerCase()}`}
              value={text}
              onChange={(event) => setText(event.currentTarget.value)}
            />
          </div>
          <div className={css.list}>
            {[...missing.map((value) => ({ value, count: null })), ...found].map(({ value, count }) => (
              <label key={value} className={css.option}>
                <input
                  type="checkbox"
                  checked={picked.has(value)}
                  onChange={() => onFilter(toggleValue(filter, field, null, value))}
                />
                <span className="ellipsis" title={value}>
                  {value}
                </span>
                <span className={css.count}>{count === null ? "" : compact(count)}</span>
              </label>
            ))}
            {values.isPending ? <div className={css.note}>Loading…</div> : null}
            {values.isError ? <div className={css.note}>{values.error.message}</div> : null}
            {values.isSuccess && found.length === 0 && missing.length === 0 ? (
              <div className={css.note}>No values</div>
            ) : null}
          </div>
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}
