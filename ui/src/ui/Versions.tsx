import type { ReactNode } from "react";
import css from "./Versions.module.css";

interface Version {
  readonly id: string | number;
  readonly chips?: ReactNode;
  readonly message?: string | null | undefined;
  readonly note: string;
}

interface VersionsProps {
  /** Newest first. */
  readonly versions: readonly Version[];
  readonly at: number;
  readonly onChoose: (index: number) => void;
  /** Above the chosen version. */
  readonly bar?: ReactNode;
  readonly children: ReactNode;
}

/** Versions in a rail, the chosen one beside it. */
export function Versions({ versions, at, onChoose, bar, children }: VersionsProps) {
  return (
    <div className={css.split}>
      <ol className={css.versions} aria-label="Versions">
        {versions.map((v, i) => (
          <li key={v.id}>
            <button type="button" className={css.version} aria-current={i === at} onClick={() => onChoose(i)}>
              <span className={css.number}>
                <strong>Version {v.id}</strong>
                {v.chips}
              </span>
              {v.message ? <span className={css.message}>{v.message}</span> : null}
              <span className="muted">{v.note}</span>
            </button>
          </li>
        ))}
      </ol>
      <section className={css.main} aria-label={`Version ${versions[at]?.id ?? ""}`}>
        {bar ? <div className={css.tabs}>{bar}</div> : null}
        <div className={css.body}>{children}</div>
      </section>
    </div>
  );
}
