import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { Pencil } from "lucide-react";
import { useState } from "react";
import { api } from "@/api/client";
import { skillFileQuery, skillFileUrl, skillQuery } from "@/api/registries";
import type { SkillVersionRow } from "@/api/types";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { bytes, dateTime } from "@/base/format";
import { Button } from "@/ui/Button";
import { Chip } from "@/ui/Chip";
import { ConfirmButton } from "@/ui/ConfirmButton";
import { CopyButton } from "@/ui/Copy";
import { Field, Input } from "@/ui/Field";
import { FormDialog } from "@/ui/FormDialog";
import { useHotkeys } from "@/ui/hotkeys";
import { Markdown } from "@/ui/Markdown";
import { PageHeader } from "@/ui/Page";
import { Segmented } from "@/ui/Segmented";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import { Versions } from "@/ui/Versions";
import { SkillEditor } from "./SkillEditor";
import css from "./Skills.module.css";

const FILE = "SKILL.md";
const VIEWS = [
  { value: "read", label: "Formatted" },
  { value: "text", label: "Text" },
] as const;

/** One skill: its versions, and the files of the chosen one. */
export function SkillPage() {
  const projectId = useProjectId();
  const { name } = useParams({ strict: false }) as { name: string };
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const query = useQuery(skillQuery(projectId, name));
  const [labelling, setLabelling] = useState(false);
  const [editing, setEditing] = useState(false);
  const versions = query.data?.versions ?? [];
  const at = Math.max(
    0,
    versions.findIndex((v) => String(v.version) === search.v),
  );
  const chosen = versions[at];
  const shown =
    chosen?.files.find((f) => f.path === search.file) ?? chosen?.files.find((f) => f.path === FILE) ?? chosen?.files[0];
  const path = shown?.path ?? FILE;
  const file = useQuery({
    ...skillFileQuery(projectId, name, chosen?.version ?? 0, path),
    enabled: shown?.text === true,
  });
  const go = (index: number) => {
    const next = versions[index];
    if (next) setSearch({ v: String(next.version) });
  };
  const remove = useMutation({
    mutationFn: (version: number) =>
      api.delete("/projects/{project_id}/skills/{name}/versions/{version}", {
        path: { project_id: projectId, name, version },
      }),
    onSuccess: async () => {
      if (versions.length === 1) await navigate({ to: "/project/$projectId/skills", params: { projectId } });
      else setSearch({ v: undefined });
      await queries.invalidateQueries({ queryKey: [projectId, "skills"] });
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  const removeAll = useMutation({
    mutationFn: () => api.delete("/projects/{project_id}/skills/{name}", { path: { project_id: projectId, name } }),
    onSuccess: async () => {
      await navigate({ to: "/project/$projectId/skills", params: { projectId } });
      await queries.invalidateQueries({ queryKey: [projectId, "skills"] });
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  useHotkeys([
    { keys: "j", label: "Older version", group: "Skill", run: () => go(at + 1) },
    { keys: "k", label: "Newer version", group: "Skill", run: () => go(at - 1) },
    { keys: "l", label: "Labels", group: "Skill", run: () => setLabelling(true) },
    { keys: "e", label: "Edit the file", group: "Skill", run: () => setEditing(file.data !== undefined) },
  ]);
  return (
    <>
      <PageHeader
        name={name}
        crumbs={[
          <Link key="s" to="/project/$projectId/skills" params={{ projectId }}>
            Skills
          </Link>,
        ]}
        title={
          <>
            <span className="ellipsis">{name}</span>
            <CopyButton text={name} label="Copy the name" />
          </>
        }
      >
        {chosen ? (
          <>
            <ConfirmButton
              label={`Delete version ${chosen.version}`}
              verb={versions.length === 1 ? "Delete the skill for good" : "Delete for good"}
              run={() => remove.mutate(chosen.version)}
            />
            <Button onClick={() => setLabelling(true)}>Labels</Button>
            {shown?.text ? (
              <Button
                look="primary"
                icon={<Pencil size={14} aria-hidden="true" />}
                disabled={file.data === undefined}
                onClick={() => setEditing(true)}
              >
                Edit {path}
              </Button>
            ) : null}
          </>
        ) : null}
      </PageHeader>
      {query.isPending ? (
        <LoadingRows />
      ) : query.isError ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : chosen ? (
        <Versions
          versions={versions.map((v) => ({
            id: v.version,
            chips: (
              <>
                {v.status === "active" ? null : <Chip tone="warn">{v.status}</Chip>}
                {v.labels.map((label) => (
                  <Chip key={label} tone={label === "production" ? "ok" : "plain"}>
                    {label}
                  </Chip>
                ))}
              </>
            ),
            message: v.commit_message,
            note: [dateTime(v.created_ms), v.created_by].filter(Boolean).join(" · "),
          }))}
          at={at}
          onChoose={go}
        >
          <p className={css.lead}>{query.data.description || chosen.description}</p>
          <Facts version={chosen} tags={query.data.tags} properties={query.data.properties} />
          {chosen.source ? <Place source={chosen.source} /> : null}
          {shown ? (
            <div className={css.files}>
              <ul className={css.list} aria-label="Files">
                {chosen.files.map((f) => (
                  <li key={f.path}>
                    <button
                      type="button"
                      aria-current={f.path === path}
                      onClick={() => setSearch({ file: f.path === FILE ? undefined : f.path })}
                    >
                      <span className="ellipsis">{f.path}</span>
                      <span className="muted num">{bytes(f.bytes)}</span>
                    </button>
                  </li>
                ))}
              </ul>
              <article className={css.file} aria-label={path}>
                {!shown.text ? (
                  <p className="muted">
                    This file is not text.{" "}
                    <a href={skillFileUrl(projectId, name, chosen.version, path)} download>
                      Download it
                    </a>
                  </p>
                ) : file.isPending ? (
                  <LoadingRows rows={4} />
                ) : file.isError ? (
                  <Failure error={file.error} retry={() => void file.refetch()} />
                ) : (
                  <FileText
                    text={file.data.text}
                    markdown={path.endsWith(".md")}
                    view={search.view ?? "read"}
                    onView={(view) => setSearch({ view: view === "read" ? undefined : view })}
                  />
                )}
              </article>
            </div>
          ) : null}
        </Versions>
      ) : (
        <Empty
          title="No version yet"
          actions={<ConfirmButton label="Delete the skill" verb="Delete for good" run={() => removeAll.mutate()} />}
        >
          <p>{query.data.description || "This skill has been registered with MLflow, and no version of it."}</p>
        </Empty>
      )}
      {labelling && chosen ? (
        <LabelsDialog projectId={projectId} name={name} version={chosen} onClose={() => setLabelling(false)} />
      ) : null}
      {editing && chosen && file.data ? (
        <SkillEditor
          projectId={projectId}
          base={{ version: chosen, path, text: file.data.text }}
          name={chosen.frontmatter.name === name ? null : name}
          onClose={() => setEditing(false)}
          onMade={(made, version) =>
            made === name
              ? setSearch({ v: String(version) })
              : void navigate({ to: "/project/$projectId/skills/$name", params: { projectId, name: made } })
          }
        />
      ) : null}
    </>
  );
}

interface FactsProps {
  readonly version: SkillVersionRow;
  readonly tags: readonly string[];
  readonly properties: Readonly<Record<string, string>>;
}

/** What the front matter says besides name and description, and the tags. */
function Facts({ version, tags, properties }: FactsProps) {
  const rest = [
    ...Object.entries(version.frontmatter).filter(([key]) => key !== "name" && key !== "description"),
    ...Object.entries(properties),
    ...Object.entries(version.properties),
  ];
  if (rest.length + tags.length === 0) return null;
  return (
    <div className={css.facts}>
      {rest.map(([key, value], at) => (
        <Chip key={at} name={key}>
          {typeof value === "string" ? value : JSON.stringify(value)}
        </Chip>
      ))}
      {tags.map((tag) => (
        <Chip key={tag} tone="accent">
          {tag}
        </Chip>
      ))}
    </div>
  );
}

/** Where the files of a version are when they are not here. The place is shown, never followed. */
function Place({ source }: { readonly source: NonNullable<SkillVersionRow["source"]> }) {
  return (
    <p className={css.facts}>
      <span className="muted">Its files are not kept here but at</span>
      <Chip name={source.type}>{source.location}</Chip>
      {source.ref ? <Chip name="ref">{source.ref}</Chip> : null}
      {source.subpath ? <Chip name="folder">{source.subpath}</Chip> : null}
      <CopyButton text={source.location} label="Copy the address" />
    </p>
  );
}

interface FileTextProps {
  readonly text: string;
  readonly markdown: boolean;
  readonly view: string;
  readonly onView: (view: "read" | "text") => void;
}

function FileText({ text, markdown, view, onView }: FileTextProps) {
  const formatted = markdown && view === "read";
  return (
    <>
      <div className={css.tools}>
        {markdown ? (
          <Segmented label="View" value={formatted ? "read" : "text"} options={VIEWS} onChange={onView} />
        ) : null}
        <CopyButton text={text} label="Copy the text" />
      </div>
      {formatted ? (
        <Markdown text={text.replace(/^\ufeff?---[ \t]*\r?\n[\s\S]*?\r?\n---[ \t]*(\r?\n|$)/, "")} />
      ) : (
        <pre className={css.text}>{text}</pre>
      )}
    </>
  );
}

interface LabelsDialogProps {
  readonly projectId: string;
  readonly name: string;
  readonly version: SkillVersionRow;
  readonly onClose: () => void;
}

function LabelsDialog({ projectId, name, version, onClose }: LabelsDialogProps) {
  const queries = useQueryClient();
  const [text, setText] = useState(version.labels.filter((label) => label !== "latest").join(", "));
  const save = useMutation({
    mutationFn: () =>
      api.patch("/projects/{project_id}/skills/{name}/versions/{version}", {
        path: { project_id: projectId, name, version: version.version },
        body: {
          labels: text
            .split(",")
            .map((label) => label.trim())
            .filter(Boolean),
        },
      }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: [projectId, "skills"] });
      onClose();
    },
  });
  return (
    <FormDialog
      title={`Labels of version ${version.version}`}
      verb="Save"
      size="sm"
      onClose={onClose}
      onSubmit={() => save.mutate()}
      pending={save.isPending}
      error={save.error}
    >
      <Field label="Labels" hint="Separated by commas. Agents load “production”; other versions lose these labels.">
        <Input data-autofocus value={text} onChange={(e) => setText(e.currentTarget.value)} />
      </Field>
    </FormDialog>
  );
}
