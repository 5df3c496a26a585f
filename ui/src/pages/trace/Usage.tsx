import { Tooltip } from "@mantine/core";
import type { ReactNode } from "react";
import { integer, money } from "@/base/format";
import { costSourceText, usageClasses, usageSourceText } from "@/base/usage";
import css from "./Usage.module.css";

interface UsageProps {
  readonly usage: Readonly<Record<string, number>>;
  readonly cost: Readonly<Record<string, number>>;
  readonly totalTokens: number;
  readonly totalCost: number | null;
  readonly usageSource: string;
  readonly costSource?: string;
  readonly priceId?: string | null;
  /** False: another span reports the same tokens. */
  readonly counted?: boolean;
}

/** Tokens and cost; pointing at them shows the classes, their shares and where the numbers come from. */
export function Usage(props: UsageProps) {
  const { totalTokens, totalCost, usageSource } = props;
  const tokens =
    usageSource === "masked"
      ? "tokens masked"
      : totalTokens > 0
        ? `${usageSource === "estimated" ? "≈ " : ""}${integer(totalTokens)} tokens`
        : null;
  if (tokens === null && totalCost === null) return null;
  return (
    <UsageTip {...props}>
      {tokens}
      {tokens && totalCost !== null ? <span className="muted">·</span> : null}
      {totalCost !== null ? <strong>{money(totalCost)}</strong> : null}
    </UsageTip>
  );
}

export function UsageTip({
  usage,
  cost,
  totalTokens,
  totalCost,
  usageSource,
  costSource,
  priceId,
  counted,
  children,
}: UsageProps & { readonly children: ReactNode }) {
  const classes = usageClasses(usage, cost);
  const sum = classes.reduce((n, c) => n + c.tokens, 0);
  const tip = (
    <div className={css.tip}>
      {sum > 0 ? (
        <div className={css.bar}>
          {classes.map((c) =>
            c.tokens > 0 ? <span key={c.key} style={{ flexGrow: c.tokens, minWidth: 2, background: c.color }} /> : null,
          )}
        </div>
      ) : null}
      <table>
        <tbody>
          {classes.map((c) => (
            <tr key={c.key}>
              <td>
                <span className={css.swatch} style={{ background: c.color }} />
                {c.label}
              </td>
              <td>{integer(c.tokens)}</td>
              <td>{c.cost === null ? "" : money(c.cost)}</td>
            </tr>
          ))}
          <tr className={css.total}>
            <td>Total</td>
            <td>{usageSource === "masked" ? "?" : integer(totalTokens)}</td>
            <td>{money(totalCost)}</td>
          </tr>
        </tbody>
      </table>
      <div className={css.source}>{usageSourceText(usageSource)}</div>
      {costSource ? <div className={css.source}>{costSourceText(costSource, priceId)}</div> : null}
      {counted === false ? (
        <div className={css.source}>Not counted in the trace: another span reports the same call</div>
      ) : null}
    </div>
  );
  return (
    <Tooltip label={tip} events={{ hover: true, focus: true, touch: true }} openDelay={120} multiline>
      <button type="button" className={css.value}>
        {children}
      </button>
    </Tooltip>
  );
}
