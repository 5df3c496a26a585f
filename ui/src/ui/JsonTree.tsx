import { ChevronRight } from "lucide-react";
import { memo, useState } from "react";
import css from "./JsonTree.module.css";

const CHUNK = 100;
const TEXT = 1_200;

interface JsonTreeProps {
  readonly value: unknown;
  /** Levels that start open. */
  readonly open?: number;
}

/** JSON to look into: folds, and draws only what is unfolded, a hundred entries and a screenful of text at a time. */
export const JsonTree = memo(function JsonTree({ value, open = 2 }: JsonTreeProps) {
  return (
    <div className={css.tree}>
      {isBranch(value) && size(value) > 0 ? <Entries value={value} open={open} /> : <Leaf value={value} />}
    </div>
  );
});

type Branch = readonly unknown[] | Record<string, unknown>;

function isBranch(value: unknown): value is Branch {
  return typeof value === "object" && value !== null;
}

function size(value: Branch): number {
  return Array.isArray(value) ? value.length : Object.keys(value).length;
}

function Entries({ value, open }: { readonly value: Branch; readonly open: number }) {
  const [limit, setLimit] = useState(CHUNK);
  const keys = Array.isArray(value) ? null : Object.keys(value);
  const count = keys ? keys.length : (value as readonly unknown[]).length;
  const shown = Math.min(limit, count);
  return (
    <>
      {Array.from({ length: shown }, (_, i) => {
        const key = keys ? (keys[i] ?? "") : String(i);
        const item = keys ? (value as Record<string, unknown>)[key] : (value as readonly unknown[])[i];
        return <Entry key={key} name={key} value={item} open={open} />;
      })}
      {shown < count ? (
        <button type="button" className={css.more} onClick={() => setLimit(limit * 4)}>
          Show {Math.min(count - shown, limit * 3)} more of {count.toLocaleString("en-US")}
        </button>
      ) : null}
    </>
  );
}

function Entry({ name, value, open }: { readonly name: string; readonly value: unknown; readonly open: number }) {
  const branch = isBranch(value) && size(value) > 0;
  const [expanded, setExpanded] = useState(open > 0);
  if (!branch) {
    return (
      <div className={css.line}>
        <span className={css.key}>{name}:</span>
        <Leaf value={value} />
      </div>
    );
  }
  const count = size(value);
  return (
    <div>
      <div className={css.line}>
        <button
          type="button"
          className={css.toggle}
          aria-expanded={expanded}
          aria-label={`${expanded ? "Fold" : "Unfold"} ${name}`}
          onClick={() => setExpanded(!expanded)}
        >
          <ChevronRight size={12} aria-hidden="true" />
        </button>
        <span className={css.key}>{name}:</span>
        <span className={css.note}>
          {Array.isArray(value) ? `[${count}]` : `{${count}}`}
          {expanded ? "" : ` ${glimpse(value)}`}
        </span>
      </div>
      {expanded ? (
        <div className={css.kids}>
          <Entries value={value} open={open - 1} />
        </div>
      ) : null}
    </div>
  );
}

function glimpse(value: Branch): string {
  const text =
    JSON.stringify(Array.isArray(value) ? value.slice(0, 4) : Object.fromEntries(Object.entries(value).slice(0, 4))) ??
    "";
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
}

function Leaf({ value }: { readonly value: unknown }) {
  const [whole, setWhole] = useState(false);
  if (typeof value === "string") {
    const cut = !whole && value.length > TEXT;
    return (
      <span className={css.string}>
        {cut ? value.slice(0, TEXT) : value === "" ? '""' : value}
        {cut ? (
          <button type="button" className={css.more} onClick={() => setWhole(true)}>
            {" "}
            … {(value.length - TEXT).toLocaleString("en-US")} more characters
          </button>
        ) : null}
      </span>
    );
  }
  if (typeof value === "number") return <span className={css.number}>{String(value)}</span>;
  if (isBranch(value)) return <span className={css.note}>{Array.isArray(value) ? "[]" : "{}"}</span>;
  return <span className={css.literal}>{String(value)}</span>;
}
