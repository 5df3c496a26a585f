import { useState } from "react";
import type { ScoreConfigRow, ScoreRow } from "@/api/types";
import { Button } from "@/ui/Button";
import { Input, TextArea } from "@/ui/Field";
import css from "./Annotation.module.css";
import { choicesOf, pressed, readNumber, type Value } from "./keys";

/** What has been filled in for one question. Numbers stay text until they are sent. */
export interface Draft {
  readonly value?: Value;
  readonly comment?: string;
}

export type Drafts = Readonly<Record<string, Draft>>;

/** What a person had answered before, as drafts. */
export function draftsOf(questions: readonly ScoreConfigRow[], given: readonly ScoreRow[]): Drafts {
  const found: Record<string, Draft> = {};
  for (const config of questions) {
    const score = given.find((s) => s.name === config.name && s.data_type !== "CORRECTION");
    if (!score) continue;
    const value: Value | null =
      score.json_value !== null
        ? (JSON.parse(score.json_value) as string[])
        : score.data_type === "BOOLEAN"
          ? score.value === 1
          : score.data_type === "NUMERIC"
            ? String(score.value)
            : score.string_value;
    found[config.config_id] = { value: value ?? undefined, comment: score.comment ?? undefined };
  }
  return found;
}

interface QuestionProps {
  readonly config: ScoreConfigRow;
  readonly draft: Draft;
  readonly active: boolean;
  readonly onActive: () => void;
  readonly onChange: (draft: Draft) => void;
}

/** One question of the queue. */
export function Question({ config, draft, active, onActive, onChange }: QuestionProps) {
  const [commenting, setCommenting] = useState(false);
  const choices = choicesOf(config);
  const text = typeof draft.value === "string" ? draft.value : "";
  const problem = config.data_type === "NUMERIC" ? readNumber(config, text).problem : undefined;
  const bounds = [config.min_value, config.max_value].map((bound) => bound ?? "…").join(" to ");
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the keyboard moves between questions with the arrow keys
    // biome-ignore lint/a11y/noStaticElementInteractions: a click into the question makes it the active one
    <div className={css.question} data-active={active} data-question={config.name} onClick={onActive}>
      <h3>{config.name}</h3>
      {config.description ? <div className={css.hint}>{config.description}</div> : null}
      {choices.length > 0 ? (
        <fieldset className={css.choices} style={{ border: 0, margin: 0, padding: 0 }} aria-label={config.name}>
          {choices.map((choice) => {
            const on = Array.isArray(draft.value)
              ? draft.value.includes(String(choice.value))
              : draft.value === choice.value;
            return (
              <Button
                key={choice.label}
                small
                look={on ? "primary" : "default"}
                aria-pressed={on}
                onClick={() => onChange({ ...draft, value: pressed(config, draft.value, choice) })}
              >
                {choice.label}
                {active ? <span className={css.cap}>{choice.keys.join(" ").toUpperCase()}</span> : null}
              </Button>
            );
          })}
        </fieldset>
      ) : config.data_type === "NUMERIC" ? (
        <>
          <Input
            inputMode="decimal"
            aria-label={config.name}
            placeholder={bounds === "… to …" ? "A number" : bounds}
            value={text}
            aria-invalid={problem !== undefined}
            onFocus={onActive}
            onChange={(e) => onChange({ ...draft, value: e.currentTarget.value || undefined })}
          />
          {problem ? <span className={css.hint}>{problem}</span> : null}
        </>
      ) : (
        <TextArea
          rows={3}
          aria-label={config.name}
          maxLength={config.max_length ?? 500}
          value={text}
          onFocus={onActive}
          onChange={(e) => onChange({ ...draft, value: e.currentTarget.value || undefined })}
        />
      )}
      {commenting || draft.comment || config.enable_comment ? (
        <Input
          placeholder="Why?"
          aria-label={`Comment on ${config.name}`}
          value={draft.comment ?? ""}
          autoFocus={commenting}
          onChange={(e) => onChange({ ...draft, comment: e.currentTarget.value || undefined })}
        />
      ) : (
        <div>
          <Button small look="ghost" onClick={() => setCommenting(true)}>
            Say why
          </Button>
        </div>
      )}
    </div>
  );
}
