import { useQuery } from "@tanstack/react-query";
import { sessionQuery } from "@/api/queries";
import { Snippet } from "@/ui/Snippet";

/** How a first prompt gets here from code; the button above makes one by hand. */
export function PromptSnippet() {
  const session = useQuery(sessionQuery);
  if (!session.data) return null;
  const code = `# pip install langfuse
from langfuse import Langfuse

langfuse = Langfuse(base_url="${session.data.base_url}", public_key="pk-lf-any", secret_key="sk-lf-any")

langfuse.create_prompt(
    name="support/greeting",
    prompt="You help {{customer}}. Be brief.",
    labels=["production"],
    commit_message="First version",
)
prompt = langfuse.get_prompt("support/greeting")  # kept in memory, refreshed in the background
print(prompt.compile(customer="Ada"))`;
  return (
    <Snippet title="Write your first prompt" code={code}>
      Versions, labels and what each version did in production are kept here. MLflow loads the same prompt with{" "}
      <code>mlflow.genai.load_prompt</code>.
    </Snippet>
  );
}
