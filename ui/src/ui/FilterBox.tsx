import { Search, X } from "lucide-react";
import { useEffect, useId, useRef, useState } from "react";
import { ApiError } from "@/api/client";
import { type Completion, completionAt, quoteValue } from "@/base/filter";
import css from "./FilterBox.module.css";
import { useHotkeys } from "./hotkeys";

export interface Suggestion {
  /** What is written into the text in place of what was typed. */
  readonly insert: string;
  readonly label: string;
  readonly help?: string;
  /** More must follow (a value after a field): keep the list open and do not search yet. */
  readonly open: boolean;
}

interface FilterBoxProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly placeholder: string;
  readonly label: string;
  readonly invalid?: boolean;
  /** Says what may stand at a place; called again whenever the place or the text changes. */
  readonly suggest?: (at: Completion) => readonly Suggestion[];
  /** Told what is being completed, so that the page can load values. */
  readonly onPlace?: (at: Completion | null) => void;
  readonly hint?: string;
}

/** A filter text with typeahead. Enter applies it, Escape leaves it, `/` comes back. */
export function FilterBox({ value, onChange, placeholder, label, invalid, suggest, onPlace, hint }: FilterBoxProps) {
  const input = useRef<HTMLInputElement>(null);
  const id = useId();
  const [draft, setDraft] = useState(value);
  const [place, setPlace] = useState<Completion | null>(null);
  const [at, setAt] = useState(-1);
  useEffect(() => setDraft(value), [value]);
  useHotkeys([
    {
      keys: "/",
      label: "Go to the filter",
      group: "List",
      run: () => {
        input.current?.focus();
        input.current?.select();
      },
    },
  ]);

  const move = (text: string) => {
    const next = completionAt(text, input.current?.selectionStart ?? text.length);
    setPlace(next);
    setAt(-1);
    onPlace?.(next);
  };
  const close = () => {
    setPlace(null);
    onPlace?.(null);
  };
  const options = place && suggest ? suggest(place).slice(0, 60) : [];
  const apply = (text: string) => {
    close();
    if (text.trim() !== value) onChange(text.trim());
  };
  const choose = (option: Suggestion) => {
    if (!place) return;
    const text = `${draft.slice(0, place.start)}${option.insert}${option.open ? "" : " "}${draft.slice(place.end).trimStart()}`;
    const cursor = place.start + option.insert.length + (option.open ? 0 : 1);
    setDraft(text);
    if (!option.open) onChange(text.trim());
    requestAnimationFrame(() => {
      input.current?.setSelectionRange(cursor, cursor);
      move(text);
    });
  };

  return (
    <div className={css.box} role="search">
      <Search size={14} className={css.icon} aria-hidden="true" />
      <input
        ref={input}
        className={css.input}
        value={draft}
        placeholder={placeholder}
        aria-label={label}
        aria-invalid={invalid}
        role="combobox"
        aria-expanded={options.length > 0}
        aria-controls={id}
        aria-activedescendant={at >= 0 ? `${id}-${at}` : undefined}
        aria-autocomplete="list"
        autoComplete="off"
        autoCapitalize="off"
        spellCheck={false}
        onChange={(event) => {
          setDraft(event.currentTarget.value);
          move(event.currentTarget.value);
        }}
        onFocus={(event) => move(event.currentTarget.value)}
        onClick={(event) => move(event.currentTarget.value)}
        onBlur={(event) => {
          if (!event.currentTarget.parentElement?.contains(event.relatedTarget)) apply(draft);
        }}
        onKeyDown={(event) => {
          if ((event.key === "ArrowDown" || event.key === "ArrowUp") && options.length > 0) {
            event.preventDefault();
            const step = event.key === "ArrowDown" ? 1 : -1;
            setAt((at + step + options.length + (at < 0 && step < 0 ? 1 : 0)) % options.length);
          } else if (event.key === "Tab" && options.length > 0 && !event.shiftKey && place?.prefix) {
            event.preventDefault();
            const option = options[Math.max(0, at)];
            if (option) choose(option);
          } else if (event.key === "Enter") {
            event.preventDefault();
            const option = options[at];
            if (at >= 0 && option) choose(option);
            else apply(draft);
          } else if (event.key === "Escape") {
            event.preventDefault();
            event.stopPropagation();
            if (options.length > 0) close();
            else input.current?.blur();
          }
        }}
      />
      {draft ? (
        <button
          type="button"
          className={css.clear}
          aria-label="Clear the filter"
          onClick={() => {
            setDraft("");
            apply("");
            if (value !== "") onChange("");
            input.current?.focus();
          }}
        >
          <X size={13} aria-hidden="true" />
        </button>
      ) : null}
      {options.length > 0 ? (
        <div className={css.drop} id={id} role="listbox" aria-label="Suggestions">
          {options.map((option, i) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the field above holds the keyboard
            <div
              key={option.insert}
              id={`${id}-${i}`}
              role="option"
              tabIndex={-1}
              aria-selected={i === at}
              className={css.option}
              onMouseDown={(event) => event.preventDefault()}
              onMouseMove={() => setAt(i)}
              onClick={() => choose(option)}
            >
              <span className={css.word}>{option.label}</span>
              {option.help ? <span className={`${css.help} ellipsis`}>{option.help}</span> : null}
            </div>
          ))}
          {hint ? <div className={css.hint}>{hint}</div> : null}
        </div>
      ) : null}
    </div>
  );
}

/** The server's verdict on a filter, pointing at the place; the suggestion is one click away. */
export function FilterProblem({
  error,
  text,
  onFix,
}: {
  readonly error: unknown;
  readonly text: string;
  readonly onFix: (text: string) => void;
}) {
  if (!(error instanceof ApiError) || error.status !== 400) return null;
  const at = error.position;
  const word = at === null ? null : (/^[^\s:=<>~!]+/.exec(text.slice(at))?.[0] ?? null);
  const fix =
    error.suggestion !== null && at !== null && word !== null
      ? `${text.slice(0, at)}${error.suggestion}${text.slice(at + word.length)}`
      : null;
  return (
    <div className={css.error} role="alert">
      <span>{error.message}</span>
      {at !== null && at < text.length ? (
        <code>
          {text.slice(Math.max(0, at - 20), at)}
          <u>{text.slice(at, at + 20)}</u>
        </code>
      ) : null}
      {fix ? (
        <button type="button" onClick={() => onFix(fix)}>
          <u>Use “{error.suggestion}”</u>
        </button>
      ) : null}
    </div>
  );
}

/** Values as suggestions. */
export function valueSuggestions(values: readonly { value: string; count: number | null }[]): Suggestion[] {
  return values.map((v) => ({
    insert: quoteValue(v.value),
    label: v.value,
    help: v.count === null ? undefined : v.count.toLocaleString("en-US"),
    open: false,
  }));
}
