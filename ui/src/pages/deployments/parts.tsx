import { Link } from "@tanstack/react-router";
import type { DeploymentRow, ObservedRow } from "@/api/types";
import { listTime } from "@/base/format";
import { type StatusName, StatusText } from "@/ui/Chip";

const HEALTH: Record<string, { name: StatusName; label: string }> = {
  healthy: { name: "ok", label: "Healthy" },
  degraded: { name: "warn", label: "Degraded" },
  down: { name: "error", label: "Down" },
  unknown: { name: "none", label: "Not reported" },
};

export function Health({ row }: { readonly row: DeploymentRow }) {
  if (row.retired) return <StatusText status="none">Retired</StatusText>;
  const found = HEALTH[row.health];
  return (
    <span title={row.health_message || undefined}>
      <StatusText status={found?.name ?? "none"}>{found?.label ?? row.health}</StatusText>
    </span>
  );
}

/** What serves in place of the declared version, which stands in the column before. */
export function DriftText({ row, now }: { readonly row: DeploymentRow; readonly now: number }) {
  const drift = row.drift;
  if (!drift) return null;
  const since = listTime(drift.since_ms, now);
  const seen = `${drift.both ? "also " : ""}observed ${drift.version} since ${since}`;
  return <StatusText status={drift.both ? "none" : "warn"}>{`declared ${row.release.version}, ${seen}`}</StatusText>;
}

interface VersionProps {
  readonly projectId: string;
  readonly kind: string;
  readonly subject: string;
  readonly version: string;
}

/** A version, linked to what it is a version of. */
export function Version({ projectId, kind, subject, version }: VersionProps) {
  if (kind === "model" && /^\d+$/.test(version))
    return (
      <Link to="/project/$projectId/models/$name" params={{ projectId, name: subject }} search={{ version } as never}>
        {version}
      </Link>
    );
  if (kind === "prompt")
    return (
      <Link
        to="/project/$projectId/prompts/$name"
        params={{ projectId, name: subject }}
        search={{ v: version } as never}
      >
        {version}
      </Link>
    );
  return <span className="ellipsis">{version}</span>;
}

const quoted = (text: string) => (/^[\w./-]+$/.test(text) ? text : `"${text.replace(/["\\]/g, "\\$&")}"`);

/** The filter that finds the traces of a version. */
export function traceFilter(row: Pick<ObservedRow, "environment" | "kind" | "subject" | "version">): string {
  const env = `env:${quoted(row.environment)}`;
  if (row.kind === "prompt") return `${env} prompt:${quoted(`${row.subject}/${row.version}`)}`;
  if (row.kind === "model") return env;
  return `${env} (version:${quoted(row.version)} OR release:${quoted(row.version)})`;
}
