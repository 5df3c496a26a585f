import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { X } from "lucide-react";
import { useMemo } from "react";
import { api } from "@/api/client";
import { useLive } from "@/api/live";
import { evaluationsQuery, evaluatorsQuery, sessionQuery } from "@/api/queries";
import type { EvaluatorRow } from "@/api/types";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { dateTime, integer, percent } from "@/base/format";
import { Button, IconButton } from "@/ui/Button";
import { type Column, DataTable } from "@/ui/DataTable";
import { PageHeader, page } from "@/ui/Page";
import { Snippet } from "@/ui/Snippet";
import { Failure, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import css from "./Datasets.module.css";

const id = (row: EvaluatorRow) => row.id;

/** Judges and what became of their judgements. */
export function EvaluatorsPage() {
  const projectId = useProjectId();
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const queries = useQueryClient();
  const query = useQuery(evaluatorsQuery(projectId));
  useLive((events) => {
    if (events.some((e) => e.kind === "score" || e.kind === "gap"))
      void queries.invalidateQueries({ queryKey: [projectId, "evaluators"] });
  });
  const rows = query.data?.evaluators ?? [];
  const open = rows.find((row) => row.id === search.evaluator);
  const columns = useMemo<Column<EvaluatorRow>[]>(
    () => [
      { id: "name", label: "Name", width: 200, grow: 1, cell: (e) => <span>{e.name}</span> },
      {
        id: "kind",
        label: "Kind",
        width: 110,
        cell: (e) => (
          <span>{e.kind === "llm_as_judge" ? "LLM judge" : e.kind === "scorer" ? "MLflow scorer" : "Code"}</span>
        ),
      },
      { id: "model", label: "Model", width: 140, cell: (e) => <span>{e.model ?? "–"}</span> },
      {
        id: "status",
        label: "Status",
        width: 100,
        cell: (e) => <span className={e.paused ? css.failed : undefined}>{e.paused ? "Paused" : "Active"}</span>,
      },
      {
        id: "rules",
        label: "Rules",
        width: 180,
        grow: 1,
        cell: (e) => <span>{e.rules.map(ruleText).join(", ") || "–"}</span>,
      },
      { id: "done", label: "Done", width: 80, align: "right", cell: (e) => <span>{integer(e.done)}</span> },
      { id: "pending", label: "Pending", width: 80, align: "right", cell: (e) => <span>{integer(e.pending)}</span> },
      {
        id: "failed",
        label: "Failed",
        width: 80,
        align: "right",
        cell: (e) => <span className={e.failed > 0 ? css.failed : undefined}>{integer(e.failed)}</span>,
      },
      { id: "version", label: "Version", width: 80, align: "right", cell: (e) => <span>{e.version}</span> },
    ],
    [],
  );
  return (
    <>
      <PageHeader title="Evaluators" name="Evaluators" />
      {query.isPending ? (
        <div className={page.column}>
          <LoadingRows />
        </div>
      ) : query.isError ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : rows.length === 0 ? (
        <div className={page.scroll}>
          <Lesson />
        </div>
      ) : (
        <div className={css.split}>
          <div className={page.fill}>
            <DataTable
              label="Evaluators"
              name="evaluators"
              columns={columns}
              rows={rows}
              rowId={id}
              activeId={search.evaluator ?? null}
              onOpen={(row) => setSearch({ evaluator: row.id })}
            />
          </div>
          {open ? (
            <Detail projectId={projectId} row={open} onClose={() => setSearch({ evaluator: undefined })} />
          ) : null}
        </div>
      )}
    </>
  );
}

function ruleText(rule: EvaluatorRow["rules"][number]): string {
  return `${rule.name} ${rule.enabled ? percent(rule.sampling) : "off"}`;
}

interface DetailProps {
  readonly projectId: string;
  readonly row: EvaluatorRow;
  readonly onClose: () => void;
}

function Detail({ projectId, row, onClose }: DetailProps) {
  const queries = useQueryClient();
  const query = useQuery(evaluationsQuery(projectId, row.id));
  const resume = useMutation({
    mutationFn: () =>
      api.post("/projects/{project_id}/evaluators/{evaluator_id}/resume", {
        path: { project_id: projectId, evaluator_id: row.id },
      }),
    onSuccess: () => void queries.invalidateQueries({ queryKey: [projectId, "evaluators"] }),
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  return (
    <aside className={css.editor} aria-label={`Evaluator ${row.name}`}>
      <div className={css.editorHead}>
        <h2 className="ellipsis">{row.name}</h2>
        <IconButton label="Close" onClick={onClose}>
          <X size={16} aria-hidden="true" />
        </IconButton>
      </div>
      {row.paused ? (
        <div className={css.error} role="alert">
          {row.paused_message}
          {row.kind === "llm_as_judge" ? (
            <div className={css.buttons}>
              <Button small onClick={() => resume.mutate()} disabled={resume.isPending}>
                Run again
              </Button>
            </div>
          ) : null}
        </div>
      ) : null}
      {row.prompt ? <pre className={css.prompt}>{row.prompt}</pre> : null}
      <section className={css.history} aria-label="Judgements">
        <h3>Judgements</h3>
        {query.isError ? <Failure error={query.error} /> : null}
        <ol>
          {(query.data?.evaluations ?? []).map((each) => (
            <li key={each.id}>
              <Link to="/project/$projectId/traces/$traceId" params={{ projectId, traceId: each.trace_id }}>
                {each.trace_id.slice(0, 12)}
              </Link>{" "}
              <span className="muted">{dateTime(each.updated_ms)}</span>{" "}
              <span className={each.status === "failed" ? css.failed : undefined}>{each.status}</span>
              {each.error ? <div className="muted">{each.error}</div> : null}
            </li>
          ))}
        </ol>
      </section>
    </aside>
  );
}

function Lesson() {
  const session = useQuery(sessionQuery);
  if (!session.data) return null;
  const code = `# pip install mlflow
import mlflow
from mlflow.genai.judges import make_judge

mlflow.set_tracking_uri("${session.data.base_url}")
polite = make_judge(
    name="polite",
    instructions="Is {{ outputs }} a polite answer to {{ inputs }}?",
    model="openai:/gpt-4o-mini",
    feedback_value_type=bool,
)
polite.register(experiment_id="0")

# Judge every new trace of the experiment, on the server:
from mlflow.tracking._tracking_service.utils import _get_store

_get_store().upsert_online_scoring_config("0", "polite", sample_rate=1.0)`;
  return (
    <Snippet title="Let a model judge what arrives" code={code}>
      Start the server with <code>TWINLENS_JUDGE_BASE_URL</code> and <code>TWINLENS_JUDGE_API_KEY</code> of an
      OpenAI-compatible endpoint. Langfuse’s <code>/v2/evaluators</code> and <code>/v2/evaluation-rules</code> work too.
    </Snippet>
  );
}
