import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { api } from "@/api/client";
import type { McpVersionRow } from "@/api/types";
import { Field, Input, Select, TextArea } from "@/ui/Field";
import { FormDialog } from "@/ui/FormDialog";

interface DialogProps {
  readonly projectId: string;
  readonly onClose: () => void;
}

const START = `{
  "name": "com.example/weather",
  "version": "1.0.0",
  "description": "Forecasts for any place.",
  "remotes": [{ "type": "streamable-http", "url": "https://weather.example.com/mcp" }]
}`;

/** JSON that a person typed; what is wrong with it in words. */
function readJson(text: string, what: "an object" | "a list"): { value?: unknown; problem?: string } {
  try {
    const value: unknown = JSON.parse(text);
    const fits = what === "a list" ? Array.isArray(value) : typeof value === "object" && !Array.isArray(value);
    return value !== null && fits ? { value } : { problem: `It must be ${what}.` };
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

/** A version as its `server.json` says. */
export function RegisterDialog({
  projectId,
  onClose,
  onMade,
  base,
}: DialogProps & { readonly onMade: (name: string) => void; readonly base?: McpVersionRow | undefined }) {
  const queries = useQueryClient();
  const [text, setText] = useState(base ? JSON.stringify(base.server_json, null, 2) : START);
  const [tools, setTools] = useState(base?.tools ? JSON.stringify(base.tools, null, 2) : "");
  const [status, setStatus] = useState<"draft" | "active">("draft");
  const document = readJson(text, "an object");
  const list = tools.trim() === "" ? {} : readJson(tools, "a list");
  const save = useMutation({
    mutationFn: () =>
      api.post("/projects/{project_id}/mcp-servers", {
        path: { project_id: projectId },
        body: {
          server_json: document.value as Record<string, unknown>,
          tools: (list.value as Record<string, unknown>[] | undefined) ?? null,
          status,
        },
      }),
    onSuccess: async (made) => {
      await queries.invalidateQueries({ queryKey: [projectId, "mcp-servers"] });
      onClose();
      onMade(String(made.server_json.name));
    },
  });
  return (
    <FormDialog
      title={base ? "New version" : "Register an MCP server"}
      verb="Register"
      size="lg"
      onClose={onClose}
      onSubmit={() => save.mutate()}
      ready={document.problem === undefined && list.problem === undefined}
      pending={save.isPending}
      error={save.error}
    >
      <Field
        label="server.json"
        error={document.problem}
        hint="Name and version are needed; the name is “namespace/server”."
      >
        <TextArea
          className="mono"
          rows={12}
          spellCheck={false}
          value={text}
          onChange={(e) => setText(e.currentTarget.value)}
        />
      </Field>
      <Field label="Tools" error={list.problem} hint="As tools/list answers them. Optional.">
        <TextArea
          className="mono"
          rows={4}
          spellCheck={false}
          placeholder='[{"name": "forecast", "inputSchema": {"type": "object"}}]'
          value={tools}
          onChange={(e) => setTools(e.currentTarget.value)}
        />
      </Field>
      <Field label="Status">
        <Select value={status} onChange={(e) => setStatus(e.currentTarget.value as "draft" | "active")}>
          <option value="draft">Draft</option>
          <option value="active">Active</option>
        </Select>
      </Field>
    </FormDialog>
  );
}

/** Let an alias point to a version. */
export function AliasDialog({
  projectId,
  name,
  version,
  onClose,
}: DialogProps & { readonly name: string; readonly version: string }) {
  const queries = useQueryClient();
  const [alias, setAlias] = useState("");
  const save = useMutation({
    mutationFn: () =>
      api.put("/projects/{project_id}/mcp-servers/{name}/aliases/{alias}", {
        path: { project_id: projectId, name, alias: alias.trim() },
        body: { version },
      }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: [projectId, "mcp-servers"] });
      onClose();
    },
  });
  return (
    <FormDialog
      title={`Alias of version ${version}`}
      verb="Save"
      size="sm"
      onClose={onClose}
      onSubmit={() => save.mutate()}
      ready={alias.trim() !== ""}
      pending={save.isPending}
      error={save.error}
    >
      <Field label="Alias" hint="It is taken from the version that has it.">
        <Input data-autofocus placeholder="stable" value={alias} onChange={(e) => setAlias(e.currentTarget.value)} />
      </Field>
    </FormDialog>
  );
}

interface EndpointDialogProps extends DialogProps {
  readonly name: string;
  readonly versions: readonly string[];
  readonly aliases: readonly string[];
}

/** Where a server is reached. */
export function EndpointDialog({ projectId, name, versions, aliases, onClose }: EndpointDialogProps) {
  const queries = useQueryClient();
  const [url, setUrl] = useState("");
  const [transport, setTransport] = useState<"streamable-http" | "sse">("streamable-http");
  const [target, setTarget] = useState("@latest");
  const save = useMutation({
    mutationFn: () =>
      api.post("/projects/{project_id}/mcp-servers/{name}/endpoints", {
        path: { project_id: projectId, name },
        body: {
          url: url.trim(),
          transport_type: transport,
          ...(target.startsWith("@") ? { alias: target.slice(1) } : { version: target }),
        },
      }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: [projectId, "mcp-servers"] });
      onClose();
    },
  });
  return (
    <FormDialog
      title="New endpoint"
      verb="Add"
      size="sm"
      onClose={onClose}
      onSubmit={() => save.mutate()}
      ready={url.trim() !== ""}
      pending={save.isPending}
      error={save.error}
    >
      <Field label="Address" hint="Clients are told it; this server never calls it.">
        <Input
          data-autofocus
          type="url"
          placeholder="https://weather.example.com/mcp"
          value={url}
          onChange={(e) => setUrl(e.currentTarget.value)}
        />
      </Field>
      <Field label="Transport">
        <Select value={transport} onChange={(e) => setTransport(e.currentTarget.value as "streamable-http" | "sse")}>
          <option value="streamable-http">Streamable HTTP</option>
          <option value="sse">Server-sent events</option>
        </Select>
      </Field>
      <Field label="Serves">
        <Select value={target} onChange={(e) => setTarget(e.currentTarget.value)}>
          {["latest", ...aliases].map((alias) => (
            <option key={alias} value={`@${alias}`}>
              @{alias}
            </option>
          ))}
          {versions.map((version) => (
            <option key={version} value={version}>
              {version}
            </option>
          ))}
        </Select>
      </Field>
    </FormDialog>
  );
}
