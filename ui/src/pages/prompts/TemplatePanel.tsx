import { useQuery } from "@tanstack/react-query";
import { resolvedPromptQuery } from "@/api/queries";
import type { PromptVersionRow } from "@/api/types";
import { asText, isPlaceholder, type Template, variablesOf } from "@/base/template";
import { Chip } from "@/ui/Chip";
import { CopyButton } from "@/ui/Copy";
import { JsonTree } from "@/ui/JsonTree";
import css from "./Prompts.module.css";

interface TemplatePanelProps {
  readonly projectId: string;
  readonly name: string;
  readonly version: PromptVersionRow;
}

/** A version as it is written; when it includes others, also as clients get it. */
export function TemplatePanel({ projectId, name, version }: TemplatePanelProps) {
  const template = version.template as Template;
  const text = asText(template);
  const includes = text.includes("@@@langfusePrompt:");
  const resolved = useQuery({ ...resolvedPromptQuery(projectId, name, version.version), enabled: includes });
  const variables = variablesOf((resolved.data?.template as Template | undefined) ?? template);
  const config = version.config as Record<string, unknown> | null;
  return (
    <>
      <TemplateView template={template} />
      {variables.length > 0 ? (
        <p className={css.facts}>
          <span className="muted">Variables</span>
          {variables.map((variable) => (
            <Chip key={variable}>{variable}</Chip>
          ))}
        </p>
      ) : null}
      {resolved.data ? (
        <>
          <h2 className={css.heading}>As clients get it</h2>
          <p className={css.facts}>
            <span className="muted">Includes</span>
            {resolved.data.includes.map((one) => (
              <Chip key={one}>{one}</Chip>
            ))}
          </p>
          <TemplateView template={resolved.data.template as Template} />
        </>
      ) : null}
      {config && Object.keys(config).length > 0 ? (
        <>
          <h2 className={css.heading}>Config</h2>
          <div className={css.block}>
            <JsonTree value={config} />
          </div>
        </>
      ) : null}
    </>
  );
}

/** Text, or messages one below the other. */
export function TemplateView({ template }: { readonly template: Template }) {
  if (typeof template === "string")
    return (
      <div className={css.block}>
        <CopyButton text={template} label="Copy the prompt" />
        <Marked text={template} />
      </div>
    );
  return (
    <>
      {template.map((message, i) =>
        isPlaceholder(message) ? (
          <div key={i} className={css.placeholder}>
            Messages of <code>{message.name}</code> go here
          </div>
        ) : (
          <div key={i} className={css.block}>
            <div className={css.role}>{message.role}</div>
            <Marked text={typeof message.content === "string" ? message.content : asText([message])} />
          </div>
        ),
      )}
    </>
  );
}

/** Variables and inclusions stand out. */
function Marked({ text }: { readonly text: string }) {
  const parts = text.split(/(\{\{[^{}]+\}\}|@@@langfusePrompt:[^@]+@@@)/);
  return (
    <pre className={css.text}>
      {parts.map((part, i) =>
        i % 2 ? (
          <mark key={i} className={css.mark}>
            {part}
          </mark>
        ) : (
          part
        ),
      )}
    </pre>
  );
}
