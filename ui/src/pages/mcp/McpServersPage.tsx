import { useQuery } from "@tanstack/react-query";
import { Link, useNavigate } from "@tanstack/react-router";
import { Plus } from "lucide-react";
import { useMemo, useState } from "react";
import { sessionQuery } from "@/api/queries";
import { mcpServersQuery } from "@/api/registries";
import type { McpServerRow } from "@/api/types";
import { ListPage } from "@/app/ListPage";
import { useProjectId } from "@/app/url";
import { dateTime } from "@/base/format";
import { Button } from "@/ui/Button";
import { Chip, ChipList, StatusText } from "@/ui/Chip";
import type { Column } from "@/ui/DataTable";
import { useHotkeys } from "@/ui/hotkeys";
import { Snippet } from "@/ui/Snippet";
import { RegisterDialog } from "./dialogs";
import { statusDot, statusLabel } from "./words";

const id = (row: McpServerRow) => row.name;

/** MCP servers that agents may use. */
export function McpServersPage() {
  const projectId = useProjectId();
  const navigate = useNavigate();
  const [adding, setAdding] = useState(false);
  const query = useQuery(mcpServersQuery(projectId));
  useHotkeys([{ keys: "n", label: "Register a server", group: "MCP servers", run: () => setAdding(true) }]);
  const open = (name: string) =>
    void navigate({ to: "/project/$projectId/mcp-servers/$name", params: { projectId, name } });
  const columns = useMemo<Column<McpServerRow>[]>(
    () => [
      {
        id: "name",
        label: "Name",
        width: 190,
        grow: 1,
        cell: (s) => (
          <Link to="/project/$projectId/mcp-servers/$name" params={{ projectId, name: s.name }} title={s.name}>
            {s.name}
          </Link>
        ),
      },
      {
        id: "description",
        label: "Description",
        width: 190,
        grow: 2,
        cell: (s) => (
          <span className="muted" title={s.description ?? undefined}>
            {s.description}
          </span>
        ),
      },
      { id: "version", label: "Latest", width: 96, cell: (s) => <span>{s.latest_version ?? "–"}</span> },
      {
        id: "status",
        label: "Status",
        width: 110,
        cell: (s) =>
          s.status ? <StatusText status={statusDot(s.status)}>{statusLabel(s.status)}</StatusText> : <span>–</span>,
      },
      {
        id: "aliases",
        label: "Aliases",
        width: 130,
        cell: (s) => (
          <ChipList>
            {Object.entries(s.aliases).map(([alias, version]) => (
              <Chip key={alias} tone="accent">
                @{alias} → {version}
              </Chip>
            ))}
          </ChipList>
        ),
      },
      { id: "tools", label: "Tools", width: 70, align: "right", cell: (s) => <span>{s.tools ?? "–"}</span> },
      { id: "endpoints", label: "Endpoints", width: 90, align: "right", cell: (s) => <span>{s.endpoints}</span> },
      { id: "updated", label: "Updated", width: 170, cell: (s) => <span>{dateTime(s.updated_ms)}</span> },
    ],
    [projectId],
  );
  return (
    <>
      <ListPage
        title="MCP servers"
        noun="server"
        name="mcp-servers"
        query={query}
        all={query.data?.servers ?? []}
        columns={columns}
        rowId={id}
        text={(s) => [s.name, s.title, s.description, ...Object.entries(s.tags).flat()].join("\n")}
        placeholder="Filter by name, description or tag"
        onOpen={(s) => open(s.name)}
        lesson={<Lesson />}
        actions={
          <Button look="primary" icon={<Plus size={15} aria-hidden="true" />} onClick={() => setAdding(true)}>
            Register
          </Button>
        }
      />
      {adding ? <RegisterDialog projectId={projectId} onClose={() => setAdding(false)} onMade={open} /> : null}
    </>
  );
}

function Lesson() {
  const session = useQuery(sessionQuery);
  if (!session.data) return null;
  const code = `# pip install mlflow
import mlflow
from mlflow.genai import register_mcp_server, set_mcp_server_alias

mlflow.set_tracking_uri("${session.data.base_url}")

register_mcp_server(
    server_json={
        "name": "com.example/weather",
        "version": "1.0.0",
        "description": "Forecasts for any place.",
        "remotes": [{"type": "streamable-http", "url": "https://weather.example.com/mcp"}],
    },
    status="active",
)
set_mcp_server_alias(name="com.example/weather", alias="stable", version="1.0.0")`;
  return (
    <Snippet title="List the MCP servers of your agents" code={code}>
      Which servers there are, with which tools, in which version, and where they are reached. “Register” takes a{" "}
      <code>server.json</code> by hand.
    </Snippet>
  );
}
