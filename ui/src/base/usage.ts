/** Token classes and their money: what the tooltip on a number shows. Keys are disjoint; `total` is their sum. */

export interface UsageClass {
  readonly key: string;
  readonly label: string;
  readonly tokens: number;
  readonly cost: number | null;
  readonly color: string;
}

const CLASSES: readonly (readonly [RegExp, string, string])[] = [
  [/^input$/, "Input", "var(--tok-input)"],
  [/^input_cached/, "Cached input", "var(--tok-cache)"],
  [/^input_cache_creation_1h/, "Cache write (1 h)", "var(--tok-write)"],
  [/^input_cache_creation_5m/, "Cache write (5 min)", "var(--tok-write)"],
  [/^input_cache_creation/, "Cache write", "var(--tok-write)"],
  [/^input_audio/, "Audio input", "var(--tok-audio)"],
  [/^input_image/, "Image input", "var(--tok-audio)"],
  [/^output$/, "Output", "var(--tok-output)"],
  [/^output_reasoning/, "Reasoning", "var(--tok-reasoning)"],
  [/^output_audio/, "Audio output", "var(--tok-audio)"],
];

/** Classes with tokens or cost, inputs first; unknown keys come last under their own names. */
export function usageClasses(
  usage: Readonly<Record<string, number>>,
  cost: Readonly<Record<string, number>>,
): UsageClass[] {
  const keys = new Set([...Object.keys(usage), ...Object.keys(cost)]);
  keys.delete("total");
  const rank = (key: string) => {
    const at = CLASSES.findIndex(([pattern]) => pattern.test(key));
    return at < 0 ? CLASSES.length : at;
  };
  return [...keys]
    .filter((key) => (usage[key] ?? 0) !== 0 || (cost[key] ?? 0) !== 0)
    .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b))
    .map((key) => {
      const known = CLASSES[rank(key)];
      return {
        key,
        label: known?.[1] ?? key.replace(/_tokens$/, "").replaceAll("_", " "),
        tokens: usage[key] ?? 0,
        cost: cost[key] ?? null,
        color: known?.[2] ?? "var(--kind-other)",
      };
    });
}

/** Where a token count comes from, in words. */
export function usageSourceText(source: string): string {
  return (
    {
      client: "Tokens reported by the client",
      estimated: "Tokens estimated from the text",
      masked: "Tokens unknown: text and counts were masked",
      none: "No tokens reported",
    }[source] ?? source
  );
}

/** Where a cost comes from, in words. */
export function costSourceText(source: string, priceId: string | null = null): string {
  return (
    {
      client: "Cost reported by the client",
      computed: priceId ? `Cost computed from price ${priceId}` : "Cost computed from the price list",
      none: "No cost: no price is known for this model",
    }[source] ?? source
  );
}
