import css from "./Segmented.module.css";

interface SegmentedProps<V extends string> {
  readonly label: string;
  readonly value: V;
  readonly options: readonly { readonly value: V; readonly label: string }[];
  readonly onChange: (value: V) => void;
}

/** One of a few, all in sight. Arrow keys move the choice. */
export function Segmented<V extends string>({ label, value, options, onChange }: SegmentedProps<V>) {
  const at = options.findIndex((o) => o.value === value);
  return (
    <div
      className={css.group}
      role="radiogroup"
      aria-label={label}
      onKeyDown={(event) => {
        const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        event.stopPropagation();
        const next = options[(at + step + options.length) % options.length];
        if (next) onChange(next.value);
        const buttons = event.currentTarget.querySelectorAll("button");
        buttons[(at + step + options.length) % options.length]?.focus();
      }}
    >
      {options.map((o) => (
        <button
          key={o.value}
          type="button"
          role="radio"
          aria-checked={o.value === value}
          tabIndex={o.value === value ? 0 : -1}
          className={css.option}
          onClick={() => onChange(o.value)}
        >
          {o.label}
        </button>
      ))}
    </div>
  );
}
