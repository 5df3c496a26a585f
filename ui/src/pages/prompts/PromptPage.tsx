import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import { useLive } from "@/api/live";
import { promptQuery } from "@/api/queries";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { dateTime } from "@/base/format";
import { Button, IconButton } from "@/ui/Button";
import { Chip } from "@/ui/Chip";
import { CopyButton } from "@/ui/Copy";
import { useHotkeys } from "@/ui/hotkeys";
import { PageHeader } from "@/ui/Page";
import { Segmented } from "@/ui/Segmented";
import { Failure, LoadingRows } from "@/ui/State";
import { Versions } from "@/ui/Versions";
import { CodePanel } from "./CodePanel";
import { DeleteDialog } from "./DeleteDialog";
import { DiffPanel } from "./DiffPanel";
import { LabelChip } from "./LabelChip";
import { LabelDialog } from "./LabelDialog";
import { TemplatePanel } from "./TemplatePanel";
import { UsagePanel } from "./UsagePanel";

const TABS = [
  { value: "prompt", label: "Prompt" },
  { value: "compare", label: "Compare" },
  { value: "usage", label: "Usage" },
  { value: "code", label: "Use it" },
] as const;
type Tab = (typeof TABS)[number]["value"];

/** One prompt: its versions at the left, the chosen one beside them. Version and tab are in the address. */
export function PromptPage() {
  const projectId = useProjectId();
  const { name } = useParams({ strict: false }) as { name: string };
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const query = useQuery(promptQuery(projectId, name));
  const [labelling, setLabelling] = useState(false);
  const [deleting, setDeleting] = useState(false);
  useLive((events) => {
    if (deleting) return; // what is being deleted need not be asked for again
    if (events.some((e) => e.kind === "gap" || (e.kind === "prompt" && e.id === name)))
      void queries.invalidateQueries({ queryKey: [projectId, "prompt", name] });
  });
  const versions = query.data?.versions ?? [];
  const at = Math.max(
    0,
    versions.findIndex((v) => String(v.version) === search.v),
  );
  const chosen = versions[at];
  const tab = (TABS.find((t) => t.value === search.tab)?.value ?? "prompt") as Tab;
  const go = (index: number) => {
    const next = versions[index];
    if (next) setSearch({ v: String(next.version) });
  };
  const write = () =>
    void navigate({
      to: "/project/$projectId/prompts/new",
      params: { projectId },
      search: { name, ...(chosen ? { from: String(chosen.version) } : {}) } as never,
    });
  useHotkeys([
    { keys: "j", label: "Older version", group: "Prompt", run: () => go(at + 1) },
    { keys: "k", label: "Newer version", group: "Prompt", run: () => go(at - 1) },
    { keys: "n", label: "New version", group: "Prompt", run: write },
    { keys: "l", label: "Move labels", group: "Prompt", run: () => setLabelling(true) },
    ...TABS.map((t, i) => ({
      keys: String(i + 1),
      label: t.label,
      group: "Prompt",
      run: () => setSearch({ tab: t.value }),
    })),
  ]);
  const parts = name.split("/");
  return (
    <>
      <PageHeader
        name={name}
        crumbs={["", ...parts.slice(0, -1)].map((part, i) => (
          <Link
            key={`${i}${part}`}
            to="/project/$projectId/prompts"
            params={{ projectId }}
            search={(i ? { folder: `${parts.slice(0, i).join("/")}/` } : {}) as never}
          >
            {part || "Prompts"}
          </Link>
        ))}
        title={
          <>
            <span className="ellipsis">{parts.at(-1)}</span>
            <CopyButton text={name} label="Copy the name" />
          </>
        }
      >
        {chosen ? (
          <>
            <IconButton label="Delete" onClick={() => setDeleting(true)}>
              <Trash2 size={15} aria-hidden="true" />
            </IconButton>
            <Button onClick={() => setLabelling(true)}>Labels</Button>
          </>
        ) : null}
        <Button look="primary" icon={<Plus size={15} aria-hidden="true" />} onClick={write}>
          New version
        </Button>
      </PageHeader>
      {query.isPending ? (
        <LoadingRows />
      ) : query.isError ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : chosen ? (
        <>
          <Versions
            versions={versions.map((v) => ({
              id: v.version,
              chips: v.labels.map((label) => (
                <LabelChip key={label} label={label} locked={query.data.protected_labels.includes(label)} />
              )),
              message: v.commit_message,
              note: `${dateTime(v.created_ms)} · ${v.created_by}`,
            }))}
            at={at}
            onChoose={go}
            bar={
              <>
                <Segmented label="View" value={tab} options={TABS} onChange={(value) => setSearch({ tab: value })} />
                {query.data.prompt.tags.map((tag) => (
                  <Chip key={tag}>{tag}</Chip>
                ))}
              </>
            }
          >
            {tab === "prompt" ? (
              <TemplatePanel projectId={projectId} name={name} version={chosen} />
            ) : tab === "compare" ? (
              <DiffPanel versions={versions} after={chosen} />
            ) : tab === "usage" ? (
              <UsagePanel projectId={projectId} name={name} />
            ) : (
              <CodePanel name={name} version={chosen} type={query.data.prompt.type} />
            )}
          </Versions>
          {labelling ? (
            <LabelDialog
              projectId={projectId}
              name={name}
              version={chosen}
              labels={query.data.prompt.labels}
              locked={query.data.protected_labels}
              mayMoveLocked={query.data.may_move_protected}
              onClose={() => setLabelling(false)}
            />
          ) : null}
          {deleting ? (
            <DeleteDialog
              projectId={projectId}
              name={name}
              version={chosen}
              versions={versions.length}
              onClose={() => {
                setDeleting(false);
                void queries.invalidateQueries({ queryKey: [projectId, "prompt", name] });
              }}
            />
          ) : null}
        </>
      ) : null}
    </>
  );
}
