import { useQuery } from "@tanstack/react-query";
import { sessionQuery } from "@/api/queries";
import css from "@/pages/overview/Onboarding.module.css";
import { CopyButton } from "@/ui/Copy";

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
    <div className={css.box}>
      <h2>Register your first model</h2>
      <p className={css.lead}>Versions, aliases and the runs they came from are kept here.</p>
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
