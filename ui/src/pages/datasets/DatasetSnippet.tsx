import { useQuery } from "@tanstack/react-query";
import { sessionQuery } from "@/api/queries";
import { Snippet } from "@/ui/Snippet";

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
    <Snippet title="Make your first dataset" code={code}>
      Examples to evaluate with, their history, and every run over them. Both clients see the same rows.
    </Snippet>
  );
}
