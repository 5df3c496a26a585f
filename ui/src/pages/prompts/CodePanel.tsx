import { useQuery } from "@tanstack/react-query";
import { sessionQuery } from "@/api/queries";
import type { PromptVersionRow } from "@/api/types";
import { type Template, variablesOf } from "@/base/template";
import { CopyButton } from "@/ui/Copy";
import css from "./Prompts.module.css";

interface CodePanelProps {
  readonly name: string;
  readonly version: PromptVersionRow;
  readonly type: "text" | "chat";
}

/** How programs get this version, with Langfuse's and with MLflow's client. */
export function CodePanel({ name, version, type }: CodePanelProps) {
  const session = useQuery(sessionQuery);
  const url = session.data?.base_url ?? "";
  const label = version.labels.find((l) => l !== "latest");
  const values = variablesOf(version.template as Template)
    .map((variable) => `${variable.replace(/\W/g, "_")}="…"`)
    .join(", ");
  const which =
    label === "production" ? "" : label === undefined ? `, version=${version.version}` : `, label="${label}"`;
  const langfuse = `from langfuse import Langfuse

langfuse = Langfuse(base_url="${url}", public_key="pk-lf-any", secret_key="sk-lf-any")
prompt = langfuse.get_prompt("${name}"${which}${type === "chat" ? ', type="chat"' : ""})
text = prompt.compile(${values})`;
  const pointer = label === undefined ? `${name}/${version.version}` : `${name}@${label}`;
  const mlflow = `import mlflow

mlflow.set_tracking_uri("${url}")
prompt = mlflow.genai.load_prompt("prompts:/${pointer}")
text = prompt.format(${values})`;
  return (
    <>
      {(
        [
          ["Langfuse", langfuse],
          ["MLflow", mlflow],
        ] as const
      ).map(([title, code]) => (
        <div key={title}>
          <h2 className={css.heading}>{title}</h2>
          <div className={css.block}>
            <CopyButton text={code} label={`Copy the ${title} snippet`} />
            <pre className={css.text}>{code}</pre>
          </div>
        </div>
      ))}
    </>
  );
}
