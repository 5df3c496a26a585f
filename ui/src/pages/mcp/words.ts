import type { McpVersionRow } from "@/api/types";
import type { StatusName } from "@/ui/Chip";

type Status = McpVersionRow["status"];

const LABELS: Record<Status, string> = {
  draft: "Draft",
  active: "Active",
  deprecated: "Deprecated",
  deleted: "Deleted",
};

/** What may follow a status; the server refuses other steps. */
export const NEXT: Record<Status, readonly { readonly status: Status; readonly verb: string }[]> = {
  draft: [{ status: "active", verb: "Activate" }],
  active: [
    { status: "deprecated", verb: "Deprecate" },
    { status: "draft", verb: "Back to draft" },
  ],
  deprecated: [{ status: "active", verb: "Activate again" }],
  deleted: [],
};

export const statusLabel = (status: Status): string => LABELS[status];

export const statusDot = (status: Status): StatusName =>
  status === "active" ? "ok" : status === "deprecated" ? "warn" : "none";
