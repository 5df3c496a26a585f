import type { IssueRow } from "@/api/types";
import type { StatusName, Tone } from "@/ui/Chip";

type Severity = NonNullable<IssueRow["severity"]>;

export const STATUSES: readonly { readonly value: IssueRow["status"]; readonly label: string }[] = [
  { value: "pending", label: "Pending" },
  { value: "resolved", label: "Resolved" },
  { value: "rejected", label: "Rejected" },
];

export const SEVERITIES: readonly { readonly value: Severity; readonly label: string }[] = [
  { value: "high", label: "High" },
  { value: "medium", label: "Medium" },
  { value: "low", label: "Low" },
  { value: "not_an_issue", label: "Not an issue" },
];

export const severityLabel = (severity: IssueRow["severity"]): string =>
  SEVERITIES.find((s) => s.value === severity)?.label ?? "–";

export const severityTone = (severity: IssueRow["severity"]): Tone =>
  severity === "high" ? "err" : severity === "medium" ? "warn" : "plain";

export const statusDot = (status: IssueRow["status"]): StatusName =>
  status === "pending" ? "running" : status === "resolved" ? "ok" : "none";

/** The filter that finds the traces which show an issue. */
export const tracesOf = (issueId: string): string => `score.${issueId}:1`;
