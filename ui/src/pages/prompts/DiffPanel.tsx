import type { PromptVersionRow } from "@/api/types";
import { usePageSearch, useSetSearch } from "@/app/url";
import { asText, type DiffLine, diffLines, type Template } from "@/base/template";
import { Select } from "@/ui/Field";
import { Empty } from "@/ui/State";
import css from "./Prompts.module.css";

interface DiffPanelProps {
  readonly versions: readonly PromptVersionRow[];
  readonly after: PromptVersionRow;
}

const SIGN = { same: " ", added: "+", removed: "−" } as const;

/** What changed in text and config between an older version and the chosen one. */
export function DiffPanel({ versions, after }: DiffPanelProps) {
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const others = versions.filter((v) => v.version !== after.version);
  const before =
    others.find((v) => String(v.version) === search.base) ??
    others.find((v) => v.version < after.version) ??
    others.at(-1);
  if (!before) return <Empty title="Only one version">There is nothing to compare it with yet.</Empty>;
  const config = (v: PromptVersionRow) => JSON.stringify(v.config ?? {}, null, 2);
  return (
    <>
      <div className={css.facts}>
        <label className={css.facts}>
          <span className="muted">Compare with</span>
          <Select value={String(before.version)} onChange={(e) => setSearch({ base: e.currentTarget.value })}>
            {others.map((v) => (
              <option key={v.version} value={String(v.version)}>
                Version {v.version}
                {v.labels.length > 0 ? ` (${v.labels.join(", ")})` : ""}
              </option>
            ))}
          </Select>
        </label>
      </div>
      <Diff
        label="Changes of the prompt"
        lines={diffLines(asText(before.template as Template), asText(after.template as Template))}
      />
      {config(before) !== config(after) ? (
        <>
          <h2 className={css.heading}>Config</h2>
          <Diff label="Changes of the config" lines={diffLines(config(before), config(after))} />
        </>
      ) : null}
    </>
  );
}

function Diff({ lines, label }: { readonly lines: readonly DiffLine[]; readonly label: string }) {
  const added = lines.filter((l) => l.kind === "added").length;
  const removed = lines.filter((l) => l.kind === "removed").length;
  return (
    <>
      <p className="muted num">
        {added + removed === 0 ? "The text is the same" : `${added} added, ${removed} removed`}
      </p>
      <section className={css.diff} aria-label={label}>
        {lines.map((line, i) => (
          <div key={i} className={css.line} data-kind={line.kind}>
            <span className={css.sign}>{SIGN[line.kind]}</span>
            <span>{line.text || " "}</span>
          </div>
        ))}
      </section>
    </>
  );
}
