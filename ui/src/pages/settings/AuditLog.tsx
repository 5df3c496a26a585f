import { useInfiniteQuery } from "@tanstack/react-query";
import { dateTime } from "@/base/format";
import { Button } from "@/ui/Button";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { auditQuery } from "./queries";
import css from "./Settings.module.css";

const DONE: Record<string, string> = { create: "created", update: "changed", delete: "deleted" };

export function AuditLog({ projectId }: { readonly projectId: string }) {
  const query = useInfiniteQuery({ ...auditQuery(projectId), refetchOnMount: "always" });
  if (query.isPending) return <LoadingRows rows={8} />;
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  const entries = query.data.pages.flatMap((p) => p.entries);
  if (entries.length === 0)
    return (
      <Empty title="Nothing has been changed yet">
        Changes of settings, keys, members, roles, prompt labels and prices appear here with who made them.
      </Empty>
    );
  return (
    <>
      <table className={css.table} aria-label="Audit log">
        <thead>
          <tr>
            <th>Time</th>
            <th>Who</th>
            <th>Did</th>
            <th>What</th>
            <th>Details</th>
          </tr>
        </thead>
        <tbody>
          {entries.map((e) => (
            <tr key={e.id}>
              <td className="num">{dateTime(e.at_ms)}</td>
              <td>{e.actor}</td>
              <td>{DONE[e.action] ?? e.action}</td>
              <td>
                {e.object_type} <code className="muted">{e.object_id}</code>
              </td>
              <td className="muted">
                {Object.entries(e.detail)
                  .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`)
                  .join(", ")}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {query.hasNextPage ? (
        <div>
          <Button onClick={() => void query.fetchNextPage()} disabled={query.isFetchingNextPage}>
            Older entries
          </Button>
        </div>
      ) : null}
    </>
  );
}
