import type { ReactNode } from "react";
import type { ScoreBadge } from "@/api/types";
import { metric } from "@/base/format";
import css from "./Chip.module.css";
import { cx } from "./cx";

export type Tone = "plain" | "ok" | "warn" | "err" | "accent";

interface ChipProps {
  readonly children: ReactNode;
  readonly name?: string;
  readonly tone?: Tone;
  readonly title?: string;
  readonly onClick?: () => void;
}

export function Chip({ children, name, tone = "plain", title, onClick }: ChipProps) {
  const className = cx(css.chip, tone !== "plain" && css[tone]);
  const body = (
    <>
      {name ? <span className={css.name}>{name}</span> : null}
      <span className="ellipsis">{children}</span>
    </>
  );
  return onClick ? (
    <button
      type="button"
      className={className}
      title={title}
      onClick={(event) => {
        event.stopPropagation();
        onClick();
      }}
    >
      {body}
    </button>
  ) : (
    <span className={className} title={title}>
      {body}
    </span>
  );
}

/** What a score says, in a few characters. */
export function scoreText(score: Pick<ScoreBadge, "value" | "string_value" | "data_type">): string {
  if (score.data_type === "BOOLEAN")
    return score.value === 1 ? "true" : score.value === 0 ? "false" : (score.string_value ?? "–");
  if (score.value !== null && score.value !== undefined && score.data_type === "NUMERIC") return metric(score.value);
  return score.string_value ?? metric(score.value);
}

/** Booleans have a good and a bad side; numbers and categories do not by themselves. */
export function scoreTone(score: Pick<ScoreBadge, "value" | "data_type">): Tone {
  if (score.data_type !== "BOOLEAN") return "plain";
  return score.value === 1 ? "ok" : "err";
}

export function ScoreChip({ score, onClick }: { readonly score: ScoreBadge; readonly onClick?: () => void }) {
  const many =
    score.count && score.count > 1
      ? ` (${score.data_type === "NUMERIC" ? "average" : "newest"} of ${score.count})`
      : "";
  return (
    <Chip
      name={score.name}
      tone={scoreTone(score)}
      title={`${score.name}: ${scoreText(score)}${many}`}
      onClick={onClick}
    >
      <span className="num">{scoreText(score)}</span>
    </Chip>
  );
}

export function ChipList({ children }: { readonly children: ReactNode }) {
  return <span className={css.list}>{children}</span>;
}

export type StatusName = "ok" | "error" | "running" | "warn" | "none";

/** Colour and shape and, for readers of screens, words. */
export function StatusDot({ status, label }: { readonly status: StatusName; readonly label: string }) {
  return <span className={css.dot} data-status={status} role="img" aria-label={label} title={label} />;
}

export function StatusText({ status, children }: { readonly status: StatusName; readonly children: string }) {
  return (
    <span className={css.status}>
      <span className={css.dot} data-status={status} aria-hidden="true" />
      {children}
    </span>
  );
}

/** The status of a trace or span as the API spells it. `open`: it has not ended. */
export function traceStatus(status: string, level: string, open: boolean): { name: StatusName; label: string } {
  if (status === "error" || level === "ERROR") return { name: "error", label: "Error" };
  if (open) return { name: "running", label: "In progress" };
  if (level === "WARNING") return { name: "warn", label: "Warning" };
  return { name: "ok", label: "OK" };
}

/** The status of a run as MLflow spells it. */
export function runStatus(status: string): { name: StatusName; label: string } {
  switch (status) {
    case "RUNNING":
      return { name: "running", label: "Running" };
    case "SCHEDULED":
      return { name: "none", label: "Scheduled" };
    case "FINISHED":
      return { name: "ok", label: "Finished" };
    case "FAILED":
      return { name: "error", label: "Failed" };
    case "KILLED":
      return { name: "warn", label: "Killed" };
    default:
      return { name: "none", label: status };
  }
}
