import { useState } from "react";
import { cx } from "./cx";
import css from "./Splitter.module.css";
import { readStored, writeStored } from "./stored";

interface SplitterProps {
  readonly label: string;
  readonly direction: "vertical" | "horizontal";
  /** Share of the first part, 0 to 1. */
  readonly value: number;
  readonly onChange: (value: number) => void;
}

const clamp = (value: number) => Math.max(0.15, Math.min(0.85, value));

/** The line between two parts of a flex box: drag it, or arrow keys. */
export function Splitter({ label, direction, value, onChange }: SplitterProps) {
  const [on, setOn] = useState(false);
  const vertical = direction === "vertical";
  return (
    <div
      className={cx(css.bar, css[direction])}
      role="separator"
      tabIndex={0}
      aria-label={label}
      aria-orientation={vertical ? "vertical" : "horizontal"}
      aria-valuenow={Math.round(value * 100)}
      data-on={on}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        setOn(true);
      }}
      onPointerMove={(event) => {
        if (!on) return;
        const box = event.currentTarget.parentElement?.getBoundingClientRect();
        if (box)
          onChange(clamp(vertical ? (event.clientX - box.left) / box.width : (event.clientY - box.top) / box.height));
      }}
      onPointerUp={() => setOn(false)}
      onKeyDown={(event) => {
        const step = { ArrowLeft: -0.03, ArrowUp: -0.03, ArrowRight: 0.03, ArrowDown: 0.03 }[event.key];
        if (!step) return;
        event.preventDefault();
        event.stopPropagation();
        onChange(clamp(value + step));
      }}
    />
  );
}

/** A share that is remembered. */
export function useShare(name: string, fallback: number): [number, (value: number) => void] {
  const [share, setShare] = useState(() => clamp(readStored(`twinlens.split.${name}`, fallback)));
  return [
    share,
    (value) => {
      setShare(value);
      writeStored(`twinlens.split.${name}`, value);
    },
  ];
}
