import type { ScoreConfigRow } from "@/api/types";

export type Value = number | boolean | string | readonly string[];

/** Letters that mean something on the page: decline, go to, skip, comment on the whole. */
const TAKEN = "dgsfe";

export interface Choice {
  readonly value: boolean | string;
  readonly label: string;
  readonly keys: readonly string[];
}

/** What can be chosen for a question, with the keys that choose it: its number, and the first free letter of its name. */
export function choicesOf(config: ScoreConfigRow): readonly Choice[] {
  const options =
    config.data_type === "BOOLEAN"
      ? [
          { value: true, label: config.positive_label ?? "Yes" },
          { value: false, label: config.negative_label ?? "No" },
        ]
      : config.data_type === "CATEGORICAL"
        ? config.categories.map((c) => ({ value: c.label, label: c.label }))
        : [];
  const used = new Set<string>(TAKEN);
  return options.map((option, i) => {
    const letter = [...option.label.toLowerCase()].find((c) => /[a-z]/.test(c) && !used.has(c));
    if (letter) used.add(letter);
    return { ...option, keys: [...(i < 9 ? [String(i + 1)] : []), ...(letter ? [letter] : [])] };
  });
}

/** The value after a choice was pressed: pressing it again takes it back. */
export function pressed(config: ScoreConfigRow, before: Value | undefined, choice: Choice): Value | undefined {
  if (!config.multi_select) return before === choice.value ? undefined : choice.value;
  const chosen = Array.isArray(before) ? (before as readonly string[]) : [];
  const label = String(choice.value);
  const next = chosen.includes(label) ? chosen.filter((one) => one !== label) : [...chosen, label];
  return next.length > 0 ? next : undefined;
}

/** A typed number that the question takes, or what is wrong with it. */
export function readNumber(config: ScoreConfigRow, text: string): { value?: number; problem?: string } {
  if (text.trim() === "") return {};
  const value = Number(text);
  if (!Number.isFinite(value)) return { problem: "Not a number" };
  if (config.min_value !== null && value < config.min_value) return { problem: `At least ${config.min_value}` };
  if (config.max_value !== null && value > config.max_value) return { problem: `At most ${config.max_value}` };
  return { value };
}
