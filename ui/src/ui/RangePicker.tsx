import { Popover } from "@mantine/core";
import { CalendarClock, ChevronDown } from "lucide-react";
import { useState } from "react";
import { dateTime } from "@/base/format";
import { PRESETS, parseRange, type Range, writeRange } from "@/base/range";
import { Button } from "./Button";
import { Input } from "./Field";
import css from "./Menu.module.css";

/** What a range is called. Relative ranges say so; absolute ones show both ends. */
export function rangeLabel(range: Range): string {
  if (range.kind === "all") return "All time";
  if (range.kind === "relative") return PRESETS.find((p) => p.value === range.text)?.label ?? `Last ${range.text}`;
  return `${dateTime(range.from).slice(5, 16)} – ${dateTime(range.to).slice(5, 16)}`;
}

export function RangePicker({
  value,
  onChange,
  all = true,
}: {
  readonly value: Range;
  readonly onChange: (text: string) => void;
  readonly all?: boolean;
}) {
  const [open, setOpen] = useState(false);
  const [text, setText] = useState("");
  const typed = text === "" ? null : parseRange(text);
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const custom = from && to ? parseRange(`${new Date(from).toISOString()}~${new Date(to).toISOString()}`) : null;
  const pick = (range: string) => {
    onChange(range);
    setOpen(false);
    setText("");
  };
  return (
    <Popover
      opened={open}
      onChange={setOpen}
      withinPortal
      trapFocus
      returnFocus
      position="bottom-end"
      onOpen={() => {
        setFrom(value.kind === "absolute" ? local(value.from) : "");
        setTo(value.kind === "absolute" ? local(value.to) : "");
      }}
    >
      <Popover.Target>
        <Button
          onClick={() => setOpen((was) => !was)}
          icon={<CalendarClock size={14} aria-hidden="true" />}
          aria-haspopup="dialog"
        >
          <span className="num">{rangeLabel(value)}</span>
          <ChevronDown size={13} aria-hidden="true" />
        </Button>
      </Popover.Target>
      <Popover.Dropdown>
        <div className={css.panel} role="group" aria-label="Time range">
          <form
            className={css.search}
            onSubmit={(event) => {
              event.preventDefault();
              if (typed) pick(writeRange(typed));
            }}
          >
            <Input
              data-autofocus
              placeholder="25m, last 2 hours, 3 days…"
              aria-label="Time range"
              aria-invalid={text !== "" && !typed}
              value={text}
              onChange={(event) => setText(event.currentTarget.value)}
            />
          </form>
          <div className={css.list}>
            {typed ? (
              <button type="button" className={css.option} onClick={() => pick(writeRange(typed))}>
                {rangeLabel(typed)}
              </button>
            ) : null}
            {PRESETS.filter((p) => all || p.value !== "all").map((p) => (
              <button
                key={p.value}
                type="button"
                className={css.option}
                data-on={writeRange(value) === p.value}
                onClick={() => pick(p.value)}
              >
                {p.label}
                <span className={css.count}>{p.value}</span>
              </button>
            ))}
          </div>
          <form
            className={css.custom}
            onSubmit={(event) => {
              event.preventDefault();
              if (custom) pick(writeRange(custom));
            }}
          >
            <label>
              From
              <Input
                type="datetime-local"
                step={1}
                value={from}
                onChange={(event) => setFrom(event.currentTarget.value)}
              />
            </label>
            <label>
              To
              <Input type="datetime-local" step={1} value={to} onChange={(event) => setTo(event.currentTarget.value)} />
            </label>
            <Button type="submit" disabled={!custom}>
              Use these times
            </Button>
          </form>
        </div>
      </Popover.Dropdown>
    </Popover>
  );
}

function local(ms: number): string {
  return dateTime(ms).replace(" ", "T");
}
