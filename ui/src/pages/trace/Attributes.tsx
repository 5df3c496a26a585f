import { Link } from "@tanstack/react-router";
import { Filter } from "lucide-react";
import { useMemo, useState } from "react";
import { writeTerm } from "@/base/filter";
import { CopyButton } from "@/ui/Copy";
import { Input } from "@/ui/Field";
import css from "./Attributes.module.css";

export interface AttributeGroup {
  readonly title: string;
  readonly values: Readonly<Record<string, unknown>>;
  /** Word of the filter language that finds traces by these keys. */
  readonly field?: string;
}

interface AttributesProps {
  readonly projectId: string;
  readonly groups: readonly AttributeGroup[];
}

const LONG = 2_000;

/** Everything as received, one line per key; search covers keys and values. */
export function Attributes({ projectId, groups }: AttributesProps) {
  const [text, setText] = useState("");
  const wanted = text.toLowerCase();
  const shown = useMemo(
    () =>
      groups
        .map((g) => ({
          ...g,
          rows: flatten(g.values).filter(
            ([k, v]) => wanted === "" || k.toLowerCase().includes(wanted) || v.toLowerCase().includes(wanted),
          ),
        }))
        .filter((g) => g.rows.length > 0),
    [groups, wanted],
  );
  const total = groups.reduce((n, g) => n + Object.keys(g.values).length, 0);
  if (total === 0) return <p className="muted">Nothing was recorded here.</p>;
  return (
    <div>
      <Input
        className={css.search}
        placeholder="Search keys and values"
        aria-label="Search keys and values"
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
      />
      {shown.map((g) => (
        <section key={g.title} className={css.group}>
          <h3>{g.title}</h3>
          <table className={css.table}>
            <tbody>
              {g.rows.map(([key, value]) => (
                <tr key={key}>
                  <td className={css.key}>{key}</td>
                  <td className={css.value}>
                    {value.length > LONG
                      ? `${value.slice(0, LONG)}… (${value.length.toLocaleString("en-US")} characters)`
                      : value}
                  </td>
                  <td className={css.act}>
                    {g.field && value.length < 200 && !/[\s"'(),:=<>~!]/.test(key) ? (
                      <Link
                        to="/project/$projectId/traces"
                        params={{ projectId }}
                        search={{ q: writeTerm({ field: g.field, key, op: ":", values: [value], not: false }) }}
                        title="Find traces with this value"
                        aria-label={`Find traces with this ${key}`}
                      >
                        <Filter size={13} />
                      </Link>
                    ) : null}{" "}
                    <CopyButton text={value} label="Copy the value" />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      ))}
      {shown.length === 0 ? <p className="muted">No key or value contains “{text}”.</p> : null}
    </div>
  );
}

/** Objects become dotted keys, so that everything is one searchable list; lists stay JSON. */
function flatten(values: Readonly<Record<string, unknown>>): [string, string][] {
  const out: [string, string][] = [];
  const walk = (prefix: string, value: unknown, depth: number) => {
    if (
      typeof value === "object" &&
      value !== null &&
      !Array.isArray(value) &&
      Object.keys(value).length > 0 &&
      depth < 6
    ) {
      for (const [k, v] of Object.entries(value)) walk(prefix ? `${prefix}.${k}` : k, v, depth + 1);
    } else out.push([prefix, typeof value === "string" ? value : JSON.stringify(value)]);
  };
  walk("", values, 0);
  return out.filter(([k]) => k !== "").sort(([a], [b]) => a.localeCompare(b));
}
