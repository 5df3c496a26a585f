import { useQuery } from "@tanstack/react-query";
import { sessionQuery } from "@/api/queries";
import { Snippet } from "@/ui/Snippet";

/** How a first model gets into the registry. */
export function RegisterSnippet() {
  const session = useQuery(sessionQuery);
  if (!session.data) return null;
  const code = `# pip install mlflow scikit-learn
import mlflow
from sklearn.linear_model import LinearRegression

mlflow.set_tracking_uri("${session.data.base_url}")

with mlflow.start_run():
    model = LinearRegression().fit([[0], [1], [2]], [0, 1, 2])
    mlflow.sklearn.log_model(model, name="model", registered_model_name="first-model")

mlflow.MlflowClient().set_registered_model_alias("first-model", "champion", 1)
mlflow.sklearn.load_model("models:/first-model@champion")`;
  return (
    <Snippet title="Register your first model" code={code}>
      Versions, aliases and the runs they came from are kept here.
    </Snippet>
  );
}
