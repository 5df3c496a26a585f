import { queryOptions, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { type ReactNode, useLayoutEffect, useMemo, useRef, useState } from "react";
import { api } from "@/api/client";
import type { LineageGraph, LineageMore, LineageNode } from "@/api/types";
import { compact, metric, money } from "@/base/format";
import { Button } from "@/ui/Button";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import css from "./Lineage.module.css";

const lineageQuery = (projectId: string, node: string) =>
  queryOptions({
    queryKey: [projectId, "lineage", node],
    queryFn: ({ signal }) =>
      api.get("/projects/{project_id}/lineage", { path: { project_id: projectId }, query: { node }, signal }),
  });

const COLUMNS: readonly { readonly types: readonly LineageNode["type"][]; readonly label: string }[] = [
  { types: ["dataset"], label: "Data sets" },
  { types: ["run"], label: "Runs" },
  { types: ["logged_model"], label: "Logged models" },
  { types: ["model", "prompt", "agent"], label: "Versions" },
  { types: ["deployment"], label: "Deployments" },
  { types: ["trace", "traces"], label: "Traces" },
  { types: ["scores"], label: "Scores" },
];

/** What something came from and what came from it, left to right. */
export function Lineage({ projectId, node }: { readonly projectId: string; readonly node: string }) {
  const options = lineageQuery(projectId, node);
  const query = useQuery(options);
  const queries = useQueryClient();
  const more = async (wanted: LineageMore) => {
    try {
      const found = await api.get("/projects/{project_id}/lineage", {
        path: { project_id: projectId },
        query: { node: wanted.node, direction: wanted.direction, depth: 1, cursor: wanted.cursor },
      });
      queries.setQueryData(options.queryKey, (before) => before && united(before, wanted, found));
    } catch (error) {
      toast(error instanceof Error ? error.message : String(error), { tone: "err" });
    }
  };
  if (query.isPending) return <LoadingRows rows={5} />;
  if (query.isError) return <Failure error={query.error} retry={() => void query.refetch()} />;
  if (query.data.nodes.length < 2)
    return (
      <Empty title="Nothing is linked to this yet">
        Data sets come from mlflow.log_input, versions from registering a model, deployments from twinlens.deployments,
        and traces from programs that say service.version.
      </Empty>
    );
  return <Drawing projectId={projectId} graph={query.data} onMore={more} />;
}

/** The graph with another page of neighbours. */
function united(graph: LineageGraph, asked: LineageMore, page: LineageGraph): LineageGraph {
  const known = new Set(graph.nodes.map((n) => n.id));
  return {
    root: graph.root,
    nodes: [...graph.nodes, ...page.nodes.filter((n) => !known.has(n.id))],
    edges: [...graph.edges, ...page.edges],
    more: [...graph.more.filter((m) => m.cursor !== asked.cursor || m.node !== asked.node), ...page.more],
  };
}

interface DrawingProps {
  readonly projectId: string;
  readonly graph: LineageGraph;
  readonly onMore: (more: LineageMore) => void;
}

function Drawing({ projectId, graph, onMore }: DrawingProps) {
  const box = useRef<HTMLDivElement>(null);
  const [paths, setPaths] = useState<readonly string[]>([]);
  const columns = useMemo(
    () =>
      COLUMNS.map((c) => ({ label: c.label, nodes: graph.nodes.filter((n) => c.types.includes(n.type)) })).filter(
        (c) => c.nodes.length > 0,
      ),
    [graph],
  );
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const draw = () => {
      const origin = element.getBoundingClientRect();
      const place = new Map<string, DOMRect>();
      for (const one of element.querySelectorAll<HTMLElement>("[data-node]"))
        place.set(one.dataset.node ?? "", one.getBoundingClientRect());
      setPaths(
        graph.edges.flatMap((edge) => {
          const [from, to] = [place.get(edge.source), place.get(edge.target)];
          if (!from || !to) return [];
          const [x1, y1] = [from.right - origin.left, from.top + from.height / 2 - origin.top];
          const [x2, y2] = [to.left - origin.left, to.top + to.height / 2 - origin.top];
          const bend = Math.max(24, (x2 - x1) / 2);
          return [`M${x1},${y1} C${x1 + bend},${y1} ${x2 - bend},${y2} ${x2},${y2}`];
        }),
      );
    };
    draw();
    const observer = new ResizeObserver(draw);
    observer.observe(element);
    return () => observer.disconnect();
  }, [graph]);
  return (
    <div className={css.scroll}>
      <div className={css.graph} ref={box}>
        <svg width="100%" height="100%" aria-hidden="true">
          {paths.map((d) => (
            <path key={d} d={d} />
          ))}
        </svg>
        {columns.map((column) => (
          <section key={column.label} className={css.column} aria-label={column.label}>
            <h3>{column.label}</h3>
            {column.nodes.map((node) => (
              <Card key={node.id} projectId={projectId} node={node} root={node.id === graph.root} />
            ))}
            {graph.more
              .filter((m) => column.nodes.some((n) => n.id === m.node))
              .map((m) => (
                <Button key={`${m.node} ${m.cursor}`} small onClick={() => onMore(m)}>
                  {m.direction === "down" ? "More to the right" : "More to the left"}
                </Button>
              ))}
          </section>
        ))}
      </div>
    </div>
  );
}

const text = (value: unknown) => (value === null || value === undefined ? "" : String(value));

function detail(node: LineageNode): string {
  const d = node.details as Record<string, unknown>;
  switch (node.type) {
    case "dataset":
      return text(d.digest);
    case "run":
      return text(d.status).toLowerCase();
    case "model":
      return d.stage && d.stage !== "None" ? text(d.stage) : "model";
    case "prompt":
    case "agent":
      return node.type;
    case "deployment":
      return d.retired ? "retired" : text(d.kind);
    case "traces":
      return `${compact(Number(d.errors))} failed · ${money(Number(d.cost))}`;
    case "scores":
      return d.average === null
        ? `${compact(Number(d.count))} scores`
        : `${metric(Number(d.average))} of ${compact(Number(d.count))}`;
    default:
      return "";
  }
}

interface CardProps {
  readonly projectId: string;
  readonly node: LineageNode;
  readonly root: boolean;
}

function Card({ projectId, node, root }: CardProps) {
  const d = node.details as Record<string, string>;
  const key = node.id.slice(node.id.indexOf(":") + 1);
  const body: ReactNode = (
    <>
      <span className={css.label} title={node.label}>
        {node.label}
      </span>
      <span className={css.detail}>{detail(node)}</span>
    </>
  );
  const shared = { className: css.node, "data-node": node.id, "data-root": root } as const;
  if (root) return <div {...shared}>{body}</div>;
  switch (node.type) {
    case "run":
      return (
        <Link
          {...shared}
          to="/project/$projectId/experiments/$experimentId/runs/$runId"
          params={{ projectId, experimentId: d.experiment_id ?? "-", runId: key }}
        >
          {body}
        </Link>
      );
    case "model":
      return (
        <Link
          {...shared}
          to="/project/$projectId/models/$name"
          params={{ projectId, name: d.name ?? "" }}
          search={{ version: d.version } as never}
        >
          {body}
        </Link>
      );
    case "prompt":
      return (
        <Link
          {...shared}
          to="/project/$projectId/prompts/$name"
          params={{ projectId, name: d.name ?? "" }}
          search={{ v: d.version } as never}
        >
          {body}
        </Link>
      );
    case "deployment":
      return (
        <Link {...shared} to="/project/$projectId/deployments/$deploymentId" params={{ projectId, deploymentId: key }}>
          {body}
        </Link>
      );
    case "traces":
      return (
        <Link {...shared} to="/project/$projectId/traces" params={{ projectId }} search={{ q: d.filter } as never}>
          {body}
        </Link>
      );
    default:
      return <div {...shared}>{body}</div>;
  }
}
