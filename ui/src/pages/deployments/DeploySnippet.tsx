import { useQuery } from "@tanstack/react-query";
import { sessionQuery } from "@/api/queries";
import { Snippet } from "@/ui/Snippet";

/** How a first deployment is declared, and how traces show what is live. */
export function DeploySnippet() {
  const session = useQuery(sessionQuery);
  if (!session.data) return null;
  const url = session.data.base_url;
  const code = `# pip install twinlens
import twinlens

here = twinlens.deployments.Server("${url}")
twinlens.deployments.create("support-agent", environment="staging", version="1.4.0", server=here)
twinlens.deployments.promote("support-agent@staging", "production", server=here)
twinlens.deployments.rollback("support-agent@production", server=here)

# or: twinlens deployment create churn --model-uri models:/churn@champion --server ${url}
# or: mlflow.deployments.get_deploy_client("twinlens://${url.replace(/^https?:\/\//, "")}")

# Traces show what is really live when they say who sends them:
# export OTEL_RESOURCE_ATTRIBUTES=service.name=support-agent,service.version=1.4.0,deployment.environment.name=production`;
  return (
    <Snippet title="Declare your first deployment" code={code}>
      Which version of a model, prompt or agent serves where, since when, by whom, and what traces show instead.
    </Snippet>
  );
}
