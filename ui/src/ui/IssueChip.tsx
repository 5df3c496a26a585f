import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { issuesQuery } from "@/api/registries";
import { Chip } from "./Chip";

/** An issue that a trace shows, by its name. */
export function IssueChip({ projectId, issueId }: { readonly projectId: string; readonly issueId: string }) {
  const issues = useQuery(issuesQuery(projectId));
  const issue = issues.data?.issues.find((i) => i.issue_id === issueId);
  const name = issue?.name ?? issueId;
  return (
    <Link
      to="/project/$projectId/issues/$issueId"
      params={{ projectId, issueId }}
      onClick={(event) => event.stopPropagation()}
    >
      <Chip name="issue" tone={issue && issue.status !== "pending" ? "plain" : "warn"} title={`Issue: ${name}`}>
        {name}
      </Chip>
    </Link>
  );
}
