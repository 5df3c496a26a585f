import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Plus, Trash2 } from "lucide-react";
import { useMemo, useState } from "react";
import { api } from "@/api/client";
import { promptQuery } from "@/api/queries";
import type { PromptDetail } from "@/api/types";
import { useUnsaved } from "@/app/unsaved";
import { usePageSearch, useProjectId } from "@/app/url";
import { fill, isPlaceholder, type Message, type Template, variablesOf } from "@/base/template";
import { Button, IconButton } from "@/ui/Button";
import { Input, Select, TextArea } from "@/ui/Field";
import { useHotkeys } from "@/ui/hotkeys";
import { PageHeader } from "@/ui/Page";
import { Segmented } from "@/ui/Segmented";
import { Failure, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import css from "./Prompts.module.css";
import { TemplateView } from "./TemplatePanel";

const KINDS = [
  { value: "text", label: "Text" },
  { value: "chat", label: "Chat" },
] as const;
const ROLES = ["system", "user", "assistant", "developer", "placeholder"];

/** A new prompt, or a new version that starts from an older one (`?name=…&from=…`). */
export function PromptEditorPage() {
  const projectId = useProjectId();
  const search = usePageSearch();
  const query = useQuery({ ...promptQuery(projectId, search.name ?? ""), enabled: !!search.name });
  if (!search.name) return <Editor projectId={projectId} />;
  if (query.isPending) return <LoadingRows />;
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  return <Editor key={search.name} projectId={projectId} known={query.data} from={Number(search.from)} />;
}

interface EditorProps {
  readonly projectId: string;
  readonly known?: PromptDetail;
  readonly from?: number;
}

function Editor({ projectId, known, from }: EditorProps) {
  const navigate = useNavigate();
  const queries = useQueryClient();
  const base = known?.versions.find((v) => v.version === from) ?? known?.versions[0];
  const start = base?.template as Template | undefined;
  const [name, setName] = useState(known?.prompt.name ?? "");
  const [kind, setKind] = useState<"text" | "chat">(known?.prompt.type ?? "text");
  const [text, setText] = useState(typeof start === "string" ? start : "");
  const [messages, setMessages] = useState<readonly Message[]>(
    typeof start === "object" ? start : [{ role: "system", content: "" }],
  );
  const [config, setConfig] = useState(JSON.stringify(base?.config ?? {}, null, 2));
  const [labels, setLabels] = useState("");
  const [commit, setCommit] = useState("");
  const [values, setValues] = useState<Record<string, string>>({});
  const template: Template = kind === "text" ? text : messages;
  const variables = useMemo(() => variablesOf(template), [template]);
  const shown: Template =
    typeof template === "string"
      ? fill(template, values)
      : template.map((m) => (typeof m.content === "string" ? { ...m, content: fill(m.content, values) } : m));
  const configError = useMemo(() => {
    try {
      JSON.parse(config || "{}");
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : "not JSON";
    }
  }, [config]);
  const save = useMutation({
    mutationFn: () =>
      api.post("/projects/{project_id}/prompts", {
        path: { project_id: projectId },
        body: {
          name: name.trim(),
          type: kind,
          template: template as string | Record<string, unknown>[],
          config: JSON.parse(config || "{}"),
          labels: labels
            .split(",")
            .map((label) => label.trim())
            .filter(Boolean),
          commit_message: commit.trim() || null,
        },
      }),
    onSuccess: async (made) => {
      await queries.invalidateQueries({ queryKey: [projectId, "prompt", name.trim()] });
      toast(`Version ${made.version} saved`, { tone: "ok" });
      void navigate({ to: "/project/$projectId/prompts/$name", params: { projectId, name: name.trim() } });
    },
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  const typed = JSON.stringify([text, messages, config]);
  const [begun] = useState(typed);
  useUnsaved((save.isIdle || save.isError) && typed !== begun);
  const ready = name.trim() !== "" && configError === null && !save.isPending;
  useHotkeys([
    { keys: "mod+enter", label: "Save", group: "Prompt", inFields: true, run: () => ready && save.mutate() },
  ]);
  const change = (at: number, next: Message) => setMessages(messages.map((m, i) => (i === at ? next : m)));
  return (
    <>
      <PageHeader
        name={known ? `New version of ${known.prompt.name}` : "New prompt"}
        title={known ? `New version of ${known.prompt.name}` : "New prompt"}
        crumbs={[
          <Link key="p" to="/project/$projectId/prompts" params={{ projectId }}>
            Prompts
          </Link>,
        ]}
      >
        <Button look="primary" disabled={!ready} onClick={() => save.mutate()}>
          Save version
        </Button>
      </PageHeader>
      <div className={css.editor}>
        <form className={css.form} onSubmit={(event) => event.preventDefault()} aria-label="Prompt">
          {known ? null : (
            <>
              <label className={css.field}>
                Name
                <Input
                  value={name}
                  onChange={(e) => setName(e.currentTarget.value)}
                  placeholder="support/greeting; slashes make folders"
                  maxLength={255}
                />
              </label>
              <Segmented label="Type" value={kind} options={KINDS} onChange={setKind} />
            </>
          )}
          {kind === "text" ? (
            <label className={css.field}>
              Prompt
              <TextArea
                className="mono"
                rows={14}
                value={text}
                onChange={(e) => setText(e.currentTarget.value)}
                placeholder="You help {{customer}}. Be brief."
              />
            </label>
          ) : (
            <>
              {messages.map((message, i) => (
                <fieldset key={i} className={css.message}>
                  <div className={css.facts}>
                    <Select
                      aria-label={`Role of message ${i + 1}`}
                      value={isPlaceholder(message) ? "placeholder" : message.role}
                      onChange={(e) =>
                        change(
                          i,
                          e.currentTarget.value === "placeholder"
                            ? { type: "placeholder", name: "history" }
                            : { role: e.currentTarget.value, content: message.content ?? "" },
                        )
                      }
                    >
                      {ROLES.map((role) => (
                        <option key={role}>{role}</option>
                      ))}
                    </Select>
                    <IconButton
                      label={`Remove message ${i + 1}`}
                      onClick={() => setMessages(messages.filter((_, at) => at !== i))}
                    >
                      <Trash2 size={15} aria-hidden="true" />
                    </IconButton>
                  </div>
                  {isPlaceholder(message) ? (
                    <Input
                      aria-label={`Name of placeholder ${i + 1}`}
                      value={message.name ?? ""}
                      onChange={(e) => change(i, { ...message, name: e.currentTarget.value })}
                    />
                  ) : (
                    <TextArea
                      className="mono"
                      rows={4}
                      aria-label={`Message ${i + 1}`}
                      value={typeof message.content === "string" ? message.content : JSON.stringify(message.content)}
                      onChange={(e) => change(i, { ...message, content: e.currentTarget.value })}
                    />
                  )}
                </fieldset>
              ))}
              <Button
                icon={<Plus size={15} aria-hidden="true" />}
                onClick={() => setMessages([...messages, { role: "user", content: "" }])}
              >
                Add a message
              </Button>
            </>
          )}
          <label className={css.field}>
            Config (JSON)
            <TextArea
              className="mono"
              rows={4}
              value={config}
              aria-invalid={configError !== null}
              onChange={(e) => setConfig(e.currentTarget.value)}
            />
            {configError ? <span className={css.wrong}>{configError}</span> : null}
          </label>
          <label className={css.field}>
            Labels
            <Input
              value={labels}
              onChange={(e) => setLabels(e.currentTarget.value)}
              placeholder="production, staging; nothing moves when empty"
            />
          </label>
          <label className={css.field}>
            Commit message
            <Input
              value={commit}
              maxLength={500}
              onChange={(e) => setCommit(e.currentTarget.value)}
              placeholder="What changes, and why"
            />
          </label>
        </form>
        <section className={css.preview} aria-label="Preview">
          <h2 className={css.heading}>Preview</h2>
          {variables.map((variable) => (
            <label key={variable} className={css.field}>
              {variable}
              <Input
                value={values[variable] ?? ""}
                onChange={(e) => setValues({ ...values, [variable]: e.currentTarget.value })}
              />
            </label>
          ))}
          <TemplateView template={shown} />
        </section>
      </div>
    </>
  );
}
