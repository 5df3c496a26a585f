import { useQuery } from "@tanstack/react-query";
import { sessionQuery } from "@/api/queries";
import css from "@/pages/overview/Onboarding.module.css";
import { CopyButton } from "@/ui/Copy";

/** How a first dataset comes about, with either client. */
export function DatasetSnippet() {
  const session = useQuery(sessionQuery);
  if (!session.data) return null;
  const { base_url, keys } = session.data;
  const code = `# pip install mlflow
import mlflow
from mlflow.genai.datasets import create_dataset

mlflow.set_tracking_uri("${base_url}")
dataset = create_dataset(name="capitals")
dataset.merge_records([
    {"inputs": {"country": "France"}, "expectations": {"expected_response": "Paris"}},
])

# or: pip install langfuse
from langfuse import Langfuse

langfuse = Langfuse(host="${base_url}", public_key="${keys.public_key}", secret_key="${keys.secret_key}")
langfuse.create_dataset_item(dataset_name="capitals", input={"country": "Spain"}, expected_output="Madrid")`;
  return (
    <div className={css.box}>
      <h2>Make your first dataset</h2>
      <p className={css.lead}>
        Examples to evaluate with, their history, and every run over them. Both clients see the same rows.
      </p>
      <div className={css.code}>
        <div className={css.copy}>
          <CopyButton text={code} label="Copy the snippet" small={false} />
        </div>
        <pre>
          <code>{code}</code>
        </pre>
      </div>
    </div>
  );
}
