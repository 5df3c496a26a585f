import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, useNavigate, useParams } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useState } from "react";
import { api } from "@/api/client";
import { mcpServerQuery } from "@/api/registries";
import type { McpServerDetail, McpVersionRow } from "@/api/types";
import { usePageSearch, useProjectId, useSetSearch } from "@/app/url";
import { dateTime } from "@/base/format";
import { Button } from "@/ui/Button";
import { Chip } from "@/ui/Chip";
import { ConfirmButton } from "@/ui/ConfirmButton";
import { CopyButton } from "@/ui/Copy";
import { useHotkeys } from "@/ui/hotkeys";
import { JsonTree } from "@/ui/JsonTree";
import { PageHeader } from "@/ui/Page";
import { Segmented } from "@/ui/Segmented";
import { Empty, Failure, LoadingRows } from "@/ui/State";
import { toast } from "@/ui/toast";
import { Versions } from "@/ui/Versions";
import { AliasDialog, EndpointDialog, RegisterDialog } from "./dialogs";
import css from "./Mcp.module.css";
import { NEXT, statusLabel } from "./words";

const TABS = [
  { value: "tools", label: "Tools" },
  { value: "connect", label: "Connect" },
  { value: "document", label: "server.json" },
] as const;
type Tab = (typeof TABS)[number]["value"];

/** One MCP server: its versions, the tools of the chosen one, and where it is reached. */
export function McpServerPage() {
  const projectId = useProjectId();
  const { name } = useParams({ strict: false }) as { name: string };
  const search = usePageSearch();
  const setSearch = useSetSearch();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const query = useQuery(mcpServerQuery(projectId, name));
  const [dialog, setDialog] = useState<"version" | "alias" | "endpoint" | null>(null);
  const versions = query.data?.versions ?? [];
  const at = Math.max(
    0,
    versions.findIndex((v) => v.version === (search.v ?? query.data?.server.latest_version)),
  );
  const chosen = versions[at];
  const tab = (TABS.find((t) => t.value === search.tab)?.value ?? "tools") as Tab;
  const go = (index: number) => {
    const next = versions[index];
    if (next) setSearch({ v: next.version });
  };
  const refresh = () => queries.invalidateQueries({ queryKey: [projectId, "mcp-servers"] });
  const fail = (error: Error) => toast(error.message, { tone: "err" });
  const path = { project_id: projectId, name };
  const move = useMutation({
    mutationFn: ({ version, status }: { version: string; status: McpVersionRow["status"] }) =>
      api.patch("/projects/{project_id}/mcp-servers/{name}/versions/{version}", {
        path: { ...path, version },
        body: { status },
      }),
    onSuccess: refresh,
    onError: fail,
  });
  const remove = useMutation({
    mutationFn: (version: string) =>
      api.delete("/projects/{project_id}/mcp-servers/{name}/versions/{version}", { path: { ...path, version } }),
    onSuccess: async () => {
      setSearch({ v: undefined });
      await refresh();
    },
    onError: fail,
  });
  const removeAll = useMutation({
    mutationFn: () => api.delete("/projects/{project_id}/mcp-servers/{name}", { path }),
    onSuccess: async () => {
      await navigate({ to: "/project/$projectId/mcp-servers", params: { projectId } });
      await refresh();
    },
    onError: fail,
  });
  const removeAlias = useMutation({
    mutationFn: (alias: string) =>
      api.delete("/projects/{project_id}/mcp-servers/{name}/aliases/{alias}", { path: { ...path, alias } }),
    onSuccess: refresh,
    onError: fail,
  });
  useHotkeys([
    { keys: "j", label: "Older version", group: "MCP server", run: () => go(at + 1) },
    { keys: "k", label: "Newer version", group: "MCP server", run: () => go(at - 1) },
    { keys: "n", label: "New version", group: "MCP server", run: () => setDialog("version") },
  ]);
  return (
    <>
      <PageHeader
        name={name}
        crumbs={[
          <Link key="m" to="/project/$projectId/mcp-servers" params={{ projectId }}>
            MCP servers
          </Link>,
        ]}
        title={
          <>
            <span className="ellipsis">{query.data?.server.title ?? name}</span>
            <CopyButton text={name} label="Copy the name" />
          </>
        }
      >
        {query.data ? (
          <>
            <ConfirmButton label="Delete the server" verb="Delete for good" run={() => removeAll.mutate()} />
            <Button look="primary" icon={<Plus size={15} aria-hidden="true" />} onClick={() => setDialog("version")}>
              New version
            </Button>
          </>
        ) : null}
      </PageHeader>
      {query.isPending ? (
        <LoadingRows />
      ) : query.isError ? (
        <Failure error={query.error} retry={() => void query.refetch()} />
      ) : chosen === undefined ? (
        <Empty title="No versions yet" actions={<Button onClick={() => setDialog("version")}>Register one</Button>}>
          A version holds the server’s <code>server.json</code> and its tools.
        </Empty>
      ) : (
        <Versions
          versions={versions.map((v) => ({
            id: v.version,
            chips: (
              <>
                <Chip tone={v.status === "active" ? "ok" : v.status === "deprecated" ? "warn" : "plain"}>
                  {statusLabel(v.status)}
                </Chip>
                {v.aliases.map((alias) => (
                  <Chip key={alias} tone="accent">
                    @{alias}
                  </Chip>
                ))}
              </>
            ),
            note: `${dateTime(v.created_ms)}${v.created_by ? ` · ${v.created_by}` : ""}`,
          }))}
          at={at}
          onChoose={go}
          bar={
            <>
              <Segmented label="View" value={tab} options={TABS} onChange={(value) => setSearch({ tab: value })} />
              <span className={css.actions}>
                {NEXT[chosen.status].map(({ status, verb }) => (
                  <Button
                    key={status}
                    small
                    disabled={move.isPending}
                    onClick={() => move.mutate({ version: chosen.version, status })}
                  >
                    {verb}
                  </Button>
                ))}
                <Button small onClick={() => setDialog("alias")}>
                  Add alias
                </Button>
                {chosen.status === "active" ? null : (
                  <ConfirmButton
                    label={`Delete version ${chosen.version}`}
                    verb="Delete for good"
                    run={() => remove.mutate(chosen.version)}
                  />
                )}
              </span>
            </>
          }
        >
          {query.data.server.description ? <p className={css.lead}>{query.data.server.description}</p> : null}
          {Object.keys(query.data.server.tags).length + chosen.aliases.length > 0 ? (
            <div className={css.facts}>
              {chosen.aliases.map((alias) => (
                <Chip key={alias} tone="accent" title="Remove this alias" onClick={() => removeAlias.mutate(alias)}>
                  @{alias} ×
                </Chip>
              ))}
              {Object.entries(query.data.server.tags).map(([key, value]) => (
                <Chip key={key} name={key}>
                  {value}
                </Chip>
              ))}
            </div>
          ) : null}
          {tab === "tools" ? (
            <Tools version={chosen} />
          ) : tab === "connect" ? (
            <Connect projectId={projectId} detail={query.data} version={chosen} onAdd={() => setDialog("endpoint")} />
          ) : (
            <div className={css.block}>
              <CopyButton text={JSON.stringify(chosen.server_json, null, 2)} label="Copy server.json" />
              <JsonTree value={chosen.server_json} open={3} />
            </div>
          )}
        </Versions>
      )}
      {dialog === "version" ? (
        <RegisterDialog
          projectId={projectId}
          base={chosen}
          onClose={() => setDialog(null)}
          onMade={() => setSearch({ v: undefined })}
        />
      ) : dialog === "alias" && chosen ? (
        <AliasDialog projectId={projectId} name={name} version={chosen.version} onClose={() => setDialog(null)} />
      ) : dialog === "endpoint" ? (
        <EndpointDialog
          projectId={projectId}
          name={name}
          versions={versions.map((v) => v.version)}
          aliases={Object.keys(query.data?.server.aliases ?? {})}
          onClose={() => setDialog(null)}
        />
      ) : null}
    </>
  );
}

interface Tool {
  readonly name?: string;
  readonly title?: string;
  readonly description?: string;
  readonly inputSchema?: { readonly properties?: Record<string, Parameter>; readonly required?: readonly string[] };
  readonly annotations?: Record<string, unknown>;
}

interface Parameter {
  readonly type?: unknown;
  readonly description?: string;
}

function Tools({ version }: { readonly version: McpVersionRow }) {
  if (version.tools === null || version.tools.length === 0)
    return (
      <Empty title="No tools listed">
        {version.tools === null
          ? "Nobody said which tools this version has. Register it with a list of them, or let MLflow ask the server: mlflow.genai.refresh_mcp_server_version_tools."
          : "This version says that it has none."}
      </Empty>
    );
  return (
    <ul className={css.tools} aria-label="Tools">
      {(version.tools as Tool[]).map((tool, i) => (
        <li key={tool.name ?? i} className={css.block}>
          <header className={css.tool}>
            <code>{tool.name}</code>
            {tool.title ? <span className="muted">{tool.title}</span> : null}
            {Object.entries(tool.annotations ?? {}).map(([key, value]) => (
              <Chip key={key} name={key}>
                {String(value)}
              </Chip>
            ))}
          </header>
          {tool.description ? <p>{tool.description}</p> : null}
          {Object.keys(tool.inputSchema?.properties ?? {}).length > 0 ? (
            <table className={css.params} aria-label={`Parameters of ${tool.name}`}>
              <tbody>
                {Object.entries(tool.inputSchema?.properties ?? {}).map(([key, parameter]) => (
                  <tr key={key}>
                    <th scope="row">
                      <code>{key}</code>
                      {tool.inputSchema?.required?.includes(key) ? <span className={css.needed}>required</span> : null}
                    </th>
                    <td className="muted">{typeText(parameter.type)}</td>
                    <td>{parameter.description}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          ) : null}
        </li>
      ))}
    </ul>
  );
}

const typeText = (type: unknown): string => (Array.isArray(type) ? type.join(" or ") : String(type ?? "any"));

interface ConnectProps {
  readonly projectId: string;
  readonly detail: McpServerDetail;
  readonly version: McpVersionRow;
  readonly onAdd: () => void;
}

interface ServerJson {
  readonly packages?: readonly {
    readonly registryType?: string;
    readonly identifier?: string;
    readonly version?: string;
  }[];
  readonly remotes?: readonly { readonly type?: string; readonly url?: string }[];
  readonly repository?: { readonly url?: string };
  readonly websiteUrl?: string;
}

/** Addresses that are kept here, and what the version says of itself. */
function Connect({ projectId, detail, version, onAdd }: ConnectProps) {
  const queries = useQueryClient();
  const remove = useMutation({
    mutationFn: (id: string) =>
      api.delete("/projects/{project_id}/mcp-servers/{name}/endpoints/{endpoint_id}", {
        path: { project_id: projectId, name: detail.server.name, endpoint_id: id },
      }),
    onSuccess: () => queries.invalidateQueries({ queryKey: [projectId, "mcp-servers"] }),
    onError: (error) => toast(error.message, { tone: "err" }),
  });
  const document = version.server_json as ServerJson;
  const own = [
    ...(document.remotes ?? []).map((r) => [r.type ?? "remote", r.url ?? ""] as const),
    ...(document.packages ?? []).map(
      (p) => [p.registryType ?? "package", `${p.identifier ?? ""}${p.version ? `@${p.version}` : ""}`] as const,
    ),
    ...(document.repository?.url ? [["repository", document.repository.url] as const] : []),
    ...(document.websiteUrl ? [["website", document.websiteUrl] as const] : []),
  ];
  return (
    <>
      <div className={css.head}>
        <h2>Endpoints</h2>
        <Button small icon={<Plus size={13} aria-hidden="true" />} onClick={onAdd}>
          New endpoint
        </Button>
      </div>
      {detail.endpoints.length === 0 ? (
        <p className="muted">None yet. An endpoint says where a version, or whatever an alias points to, is reached.</p>
      ) : (
        <table className={css.table} aria-label="Endpoints">
          <thead>
            <tr>
              <th>Address</th>
              <th>Transport</th>
              <th>Serves</th>
              <th aria-label="Actions" />
            </tr>
          </thead>
          <tbody>
            {detail.endpoints.map((row) => (
              <tr key={row.endpoint_id}>
                <td>
                  <code>{row.url}</code> <CopyButton text={row.url} label="Copy the address" />
                </td>
                <td>{row.transport_type}</td>
                <td>{row.alias ? `@${row.alias} → ${row.resolved_version ?? "nothing"}` : row.version}</td>
                <td className={css.act}>
                  <ConfirmButton label={`Delete ${row.url}`} verb="Delete" run={() => remove.mutate(row.endpoint_id)} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {own.length > 0 ? (
        <>
          <h2 className={css.sub}>As server.json says</h2>
          <table className={css.table} aria-label="As server.json says">
            <tbody>
              {own.map(([kind, value]) => (
                <tr key={kind + value}>
                  <td className="muted">{kind}</td>
                  <td>
                    <code>{value}</code> <CopyButton text={value} label={`Copy ${value}`} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </>
      ) : null}
    </>
  );
}
