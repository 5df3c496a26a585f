import { Modal } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { useDeferredValue, useEffect, useMemo, useRef, useState } from "react";
import { api } from "@/api/client";
import { experimentsQuery, modelsQuery, projectsQuery, promptsQuery } from "@/api/queries";
import { issuesQuery, mcpServersQuery, skillsQuery } from "@/api/registries";
import { shortId } from "@/base/format";
import { fuzzy } from "@/base/fuzzy";
import { canonicalTraceId } from "@/base/links";
import css from "./Palette.module.css";

interface Command {
  readonly id: string;
  readonly group: string;
  readonly label: string;
  readonly detail?: string;
  readonly run: () => void;
}

interface PaletteProps {
  readonly projectId: string;
  readonly onClose: () => void;
  readonly onKeys: () => void;
}

const SETTINGS = [
  ["general", "general"],
  ["keys", "API keys"],
  ["members", "members"],
  ["labels", "protected labels"],
  ["connections", "model connections"],
  ["gateway", "gateway"],
  ["webhooks", "webhooks"],
  ["exports", "exports"],
  ["audit", "audit log"],
] as const;

/** Go anywhere by name or id: pages, projects, experiments, models, and traces and runs as the server finds them. */
export function Palette({ projectId, onClose, onKeys }: PaletteProps) {
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const wanted = useDeferredValue(text.trim());
  const navigate = useNavigate();
  const listRef = useRef<HTMLDivElement>(null);
  const projects = useQuery(projectsQuery);
  const experiments = useQuery(experimentsQuery(projectId));
  const models = useQuery(modelsQuery(projectId));
  const prompts = useQuery(promptsQuery(projectId));
  const issues = useQuery(issuesQuery(projectId));
  const skills = useQuery(skillsQuery(projectId));
  const servers = useQuery(mcpServersQuery(projectId));
  const found = useQuery({
    queryKey: [projectId, "palette", wanted],
    enabled: wanted.length >= 2,
    staleTime: 5_000,
    queryFn: async ({ signal }) => {
      const quoted = wanted.replace(/["\\]/g, "\\$&");
      const path = { project_id: projectId };
      const [traces, runs] = await Promise.allSettled([
        api.get("/projects/{project_id}/traces", { path, query: { filter: `"${quoted}"`, limit: 6 }, signal }),
        api.get("/projects/{project_id}/runs", {
          path,
          query: { filter: `attributes.run_name ILIKE '%${wanted.replace(/'/g, "''")}%'`, limit: 6 },
          signal,
        }),
      ]);
      return {
        traces: traces.status === "fulfilled" ? traces.value.traces : [],
        runs: runs.status === "fulfilled" ? runs.value.runs : [],
      };
    },
  });

  const commands = useMemo<Command[]>(() => {
    const go =
      (to: string, params: Record<string, string> = {}, search: Record<string, string> = {}) =>
      () => {
        onClose();
        void navigate({ to, params: { projectId, ...params }, search } as never);
      };
    const all: Command[] = [
      { id: "o", group: "Pages", label: "Overview", run: go("/project/$projectId") },
      { id: "b", group: "Pages", label: "Dashboards", run: go("/project/$projectId/dashboards") },
      { id: "t", group: "Pages", label: "Traces", run: go("/project/$projectId/traces") },
      { id: "s", group: "Pages", label: "Sessions", run: go("/project/$projectId/sessions") },
      { id: "e", group: "Pages", label: "Experiments", run: go("/project/$projectId/experiments") },
      { id: "a", group: "Pages", label: "Datasets", run: go("/project/$projectId/datasets") },
      { id: "q", group: "Pages", label: "Annotation", run: go("/project/$projectId/annotation") },
      { id: "j", group: "Pages", label: "Evaluators", run: go("/project/$projectId/evaluators") },
      { id: "m", group: "Pages", label: "Models", run: go("/project/$projectId/models") },
      { id: "d", group: "Pages", label: "Deployments", run: go("/project/$projectId/deployments") },
      { id: "p", group: "Pages", label: "Prompts", run: go("/project/$projectId/prompts") },
      { id: "i", group: "Pages", label: "Issues", run: go("/project/$projectId/issues") },
      { id: "l", group: "Pages", label: "Skills", run: go("/project/$projectId/skills") },
      { id: "c", group: "Pages", label: "MCP servers", run: go("/project/$projectId/mcp-servers") },
      ...SETTINGS.map(([tab, label]) => ({
        id: `settings:${tab}`,
        group: "Settings",
        label: `Settings: ${label}`,
        run: go("/project/$projectId/settings", {}, { tab }),
      })),
      { id: "k", group: "Help", label: "Keyboard shortcuts", run: onKeys },
      ...(experiments.data?.experiments ?? []).map((e) => ({
        id: `e:${e.experiment_id}`,
        group: "Experiments",
        label: e.name,
        detail: e.experiment_id,
        run: go("/project/$projectId/experiments/$experimentId", { experimentId: e.experiment_id }),
      })),
      ...(models.data?.models ?? []).map((m) => ({
        id: `m:${m.name}`,
        group: "Models",
        label: m.name,
        run: go("/project/$projectId/models/$name", { name: m.name }),
      })),
      ...(prompts.data?.prompts ?? []).map((p) => ({
        id: `pr:${p.name}`,
        group: "Prompts",
        label: p.name,
        run: go("/project/$projectId/prompts/$name", { name: p.name }),
      })),
      ...(issues.data?.issues ?? []).map((i) => ({
        id: `i:${i.issue_id}`,
        group: "Issues",
        label: i.name,
        detail: i.status,
        run: go("/project/$projectId/issues/$issueId", { issueId: i.issue_id }),
      })),
      ...(skills.data?.skills ?? []).map((s) => ({
        id: `sk:${s.name}`,
        group: "Skills",
        label: s.name,
        run: go("/project/$projectId/skills/$name", { name: s.name }),
      })),
      ...(servers.data?.servers ?? []).map((s) => ({
        id: `mcp:${s.name}`,
        group: "MCP servers",
        label: s.name,
        run: go("/project/$projectId/mcp-servers/$name", { name: s.name }),
      })),
      ...(projects.data?.projects ?? [])
        .filter((p) => p.id !== projectId)
        .map((p) => ({
          id: `p:${p.id}`,
          group: "Projects",
          label: `Switch to ${p.name}`,
          run: go("/project/$projectId", { projectId: p.id }),
        })),
    ];
    const words = wanted.toLowerCase();
    const matching = words
      ? all
          .map((c) => ({ c, score: fuzzy(words, `${c.label} ${c.detail ?? ""}`) }))
          .filter((m) => m.score > 0)
          .sort((a, b) => b.score - a.score)
          .map((m) => m.c)
          .slice(0, 12)
      : all.slice(0, 26);
    const remote: Command[] =
      wanted.length < 2
        ? []
        : [
            ...(found.data?.runs ?? []).map((r) => ({
              id: `r:${r.run_id}`,
              group: "Runs",
              label: r.name,
              detail: shortId(r.run_id),
              run: go("/project/$projectId/experiments/$experimentId/runs/$runId", {
                experimentId: r.experiment_id,
                runId: r.run_id,
              }),
            })),
            ...(found.data?.traces ?? []).map((t) => ({
              id: `t:${t.trace_id}`,
              group: "Traces",
              label: t.name ?? shortId(t.trace_id),
              detail: t.input_preview?.slice(0, 40) ?? shortId(t.trace_id),
              run: go("/project/$projectId/traces/$traceId", { traceId: t.trace_id }),
            })),
          ];
    if (/^(tr-)?[0-9a-f-]{16,}$/i.test(wanted)) {
      remote.push({
        id: "id",
        group: "By id",
        label: `Open trace ${wanted}`,
        run: go("/project/$projectId/traces/$traceId", { traceId: canonicalTraceId(wanted) }),
      });
    }
    return [...matching, ...remote];
  }, [
    wanted,
    projectId,
    experiments.data,
    models.data,
    prompts.data,
    issues.data,
    skills.data,
    servers.data,
    projects.data,
    found.data,
    navigate,
    onClose,
    onKeys,
  ]);

  const current = Math.min(at, commands.length - 1);
  useEffect(() => {
    listRef.current?.querySelector(`[data-at="${current}"]`)?.scrollIntoView({ block: "nearest" });
  }, [current]);

  return (
    <Modal
      opened
      onClose={onClose}
      withCloseButton={false}
      classNames={{ body: css.body }}
      size={600}
      yOffset="12vh"
      centered={false}
      aria-label="Search and commands"
    >
      <input
        data-autofocus
        className={css.input}
        placeholder="Search pages, experiments, runs, traces, prompts, issues, ids…"
        role="combobox"
        aria-expanded="true"
        aria-controls="palette-list"
        aria-activedescendant={current >= 0 ? `palette-${current}` : undefined}
        value={text}
        onChange={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            event.preventDefault();
            const step = event.key === "ArrowDown" ? 1 : -1;
            setAt((current + step + commands.length) % Math.max(1, commands.length));
          } else if (event.key === "Enter") {
            event.preventDefault();
            commands[current]?.run();
          }
        }}
      />
      <div className={css.list} ref={listRef} id="palette-list" role="listbox" aria-label="Results">
        {commands.map((command, i) => (
          <div key={command.id} role="presentation">
            {commands[i - 1]?.group !== command.group ? <div className={css.group}>{command.group}</div> : null}
            {/* biome-ignore lint/a11y/useKeyWithClickEvents: the combobox above holds the keyboard */}
            <div
              id={`palette-${i}`}
              data-at={i}
              role="option"
              tabIndex={-1}
              aria-selected={i === current}
              className={css.option}
              onMouseMove={() => setAt(i)}
              onClick={command.run}
            >
              <span className="ellipsis">{command.label}</span>
              {command.detail ? <span className={`${css.detail} ellipsis`}>{command.detail}</span> : null}
            </div>
          </div>
        ))}
        {commands.length === 0 ? (
          <div className={css.none}>{found.isFetching ? "Searching…" : "Nothing by that name"}</div>
        ) : null}
      </div>
    </Modal>
  );
}
