import { Popover } from "@mantine/core";
import { Columns3 } from "lucide-react";
import { useMemo, useState } from "react";
import { Button } from "./Button";
import { Input } from "./Field";
import css from "./Menu.module.css";

export interface ColumnChoice {
  readonly id: string;
  readonly label: string;
  readonly group?: string;
}

interface ColumnMenuProps {
  readonly choices: readonly ColumnChoice[];
  readonly shown: readonly string[];
  readonly onChange: (shown: readonly string[] | null) => void;
}

const LIMIT = 200;

/** Which columns to show. Runs can have thousands of keys, so it searches and lists no more than 200 at a time. */
export function ColumnMenu({ choices, shown, onChange }: ColumnMenuProps) {
  const [open, setOpen] = useState(false);
  const [text, setText] = useState("");
  const on = useMemo(() => new Set(shown), [shown]);
  const matching = useMemo(() => {
    const words = text.toLowerCase();
    return choices.filter((c) => c.label.toLowerCase().includes(words));
  }, [choices, text]);
  const toggle = (id: string) => onChange(on.has(id) ? shown.filter((s) => s !== id) : [...shown, id]);
  const groups = new Map<string, ColumnChoice[]>();
  for (const choice of matching.slice(0, LIMIT)) {
    const name = choice.group ?? "";
    const list = groups.get(name);
    if (list) list.push(choice);
    else groups.set(name, [choice]);
  }
  return (
    <Popover opened={open} onChange={setOpen} withinPortal trapFocus returnFocus position="bottom-end">
      <Popover.Target>
        <Button
          onClick={() => setOpen((was) => !was)}
          icon={<Columns3 size={14} aria-hidden="true" />}
          aria-haspopup="dialog"
        >
          Columns
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <div className={css.panel} role="group" aria-label="Columns">
          <div className={css.search}>
            <Input
              data-autofocus
              placeholder="Search columns"
              aria-label="Search columns"
              value={text}
              onChange={(event) => setText(event.currentTarget.value)}
            />
          </div>
          <div className={css.list}>
            {[...groups].map(([name, list]) => (
              <div key={name} role="group" aria-label={name}>
                {name ? <div className={css.section}>{name}</div> : null}
                {list.map((choice) => (
                  <label key={choice.id} className={css.option}>
                    <input type="checkbox" checked={on.has(choice.id)} onChange={() => toggle(choice.id)} />
                    <span className="ellipsis" title={choice.label}>
                      {choice.label}
                    </span>
                  </label>
                ))}
              </div>
            ))}
            {matching.length > LIMIT ? (
              <div className={css.note}>{matching.length - LIMIT} more: search to narrow down</div>
            ) : null}
            {matching.length === 0 ? <div className={css.note}>No such column</div> : null}
          </div>
          <div className={css.foot}>
            <Button small look="ghost" onClick={() => onChange(null)}>
              Back to the usual columns
            </Button>
          </div>
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}
