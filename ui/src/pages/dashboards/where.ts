import type { WidgetFilter } from "@/api/types";

/** Columns that a dashboard's filter offers; other names are passed on as they are. */
export const FILTERED = [
  "environment",
  "userId",
  "sessionId",
  "traceName",
  "name",
  "model",
  "tags",
  "release",
  "version",
];

const TERM = /([\w]+):("(?:[^"\\]|\\.)*"|\S+)/g;

/** `environment:production userId:"a b"` as conditions; words without a colon say nothing. */
export function parseWhere(text: string): WidgetFilter[] {
  return [...text.matchAll(TERM)].map(([, column = "", raw = ""]) => {
    const value = raw.startsWith('"') ? raw.slice(1, -1).replace(/\\(.)/g, "$1") : raw;
    return column === "tags"
      ? { type: "arrayOptions", column, operator: "any of", value: [value] }
      : { type: "stringOptions", column, operator: "any of", value: [value] };
  });
}

/** What holds in one environment; nothing when none is chosen. */
export function inEnvironment(name: string | undefined): WidgetFilter[] {
  return name ? [{ type: "stringOptions", column: "environment", operator: "any of", value: [name] }] : [];
}

/** A stored condition for people. */
export function filterText(filter: WidgetFilter): string {
  const value = Array.isArray(filter.value) ? filter.value.join(", ") : String(filter.value ?? "");
  const key = filter.key ? `.${filter.key}` : "";
  return `${filter.column}${key} ${filter.operator}${value ? ` ${value}` : ""}`;
}
