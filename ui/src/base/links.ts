/** Addresses other programs print. MLflow's clients print hash routes (`/#/experiments/1/runs/abc`). */

export type Target =
  | { readonly to: "experiment"; readonly experimentId: string }
  | { readonly to: "run"; readonly experimentId: string; readonly runId: string }
  | { readonly to: "trace"; readonly traceId: string }
  | { readonly to: "traces"; readonly experimentId: string }
  | { readonly to: "experiments" }
  | { readonly to: "model"; readonly name: string }
  | { readonly to: "models" };

/** What an MLflow hash route means here; null when it is none. */
export function readHash(hash: string): Target | null {
  if (!hash.startsWith("#/")) return null;
  const [path = "", query = ""] = hash.slice(1).split("?", 2);
  const parts = path.split("/").filter(Boolean).map(decode);
  const params = new URLSearchParams(query);
  const [head, first, second, third] = parts;
  const selected = params.get("selectedEvaluationId") ?? params.get("selectedTraceId") ?? params.get("trace_id");
  if (head === "experiments") {
    if (!first) return { to: "experiments" };
    if (second === "runs" && third) return { to: "run", experimentId: first, runId: third };
    if (selected) return { to: "trace", traceId: canonicalTraceId(selected) };
    if (second === "traces" && third) return { to: "trace", traceId: canonicalTraceId(third) };
    if (second === "traces") return { to: "traces", experimentId: first };
    return { to: "experiment", experimentId: first };
  }
  if (head === "models") return first ? { to: "model", name: first } : { to: "models" };
  if (head === "traces" && first) return { to: "trace", traceId: canonicalTraceId(first) };
  return { to: "experiments" };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** The stored form of a trace id: MLflow's `tr-` prefix off 32 hex digits, lower case. */
export function canonicalTraceId(id: string): string {
  const bare = /^(?:tr-)?([0-9a-f]{32})$/i.exec(id);
  return bare?.[1] ? bare[1].toLowerCase() : id;
}
