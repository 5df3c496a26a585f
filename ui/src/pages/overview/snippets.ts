import type { Session } from "@/api/types";

export interface Snippet {
  readonly id: string;
  readonly label: string;
  /** What one installs first, and what is then run: exactly what works against this server. */
  readonly code: string;
}

/** First steps in each dialect, with the reader's own address and keys. */
export function snippets(session: Pick<Session, "base_url" | "keys" | "mode">, projectId: string): Snippet[] {
  const url = session.base_url;
  const { public_key: publicKey, secret_key: secretKey } = session.keys;
  const secured = session.mode === "secured";
  const basic = "$(printf '%s' \"$LANGFUSE_PUBLIC_KEY:$LANGFUSE_SECRET_KEY\" | base64 -w0)";
  return [
    {
      id: "mlflow",
      label: "MLflow",
      code: `# pip install mlflow
${secured ? `# export MLFLOW_TRACKING_USERNAME="${publicKey}" MLFLOW_TRACKING_PASSWORD="${secretKey}"\n` : ""}import mlflow

mlflow.set_tracking_uri("${url}")
mlflow.set_experiment("first steps")

with mlflow.start_run():
    mlflow.log_param("model_type", "random_forest")
    for step in range(20):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metric("accuracy", 0.95)`,
    },
    {
      id: "langfuse",
      label: "Langfuse",
      code: `# pip install langfuse
from langfuse import Langfuse

langfuse = Langfuse(
    host="${url}",
    public_key="${publicKey}",
    secret_key="${secretKey}",
)

with langfuse.start_as_current_observation(
    name="first call", as_type="generation", model="gpt-4o", input="Hello world"
) as call:
    call.update(output="Hello!", usage_details={"input": 3, "output": 2})
    langfuse.score_current_trace(name="quality", value=0.9)
langfuse.flush()`,
    },
    {
      id: "otel",
      label: "OpenTelemetry",
      code: `# Any OpenTelemetry SDK or instrumentation reads these:
export OTEL_EXPORTER_OTLP_ENDPOINT="${url}"
export OTEL_EXPORTER_OTLP_PROTOCOL="http/protobuf"
export OTEL_SERVICE_NAME="my-agent"
${
  secured
    ? `export LANGFUSE_PUBLIC_KEY="${publicKey}" LANGFUSE_SECRET_KEY="${secretKey}"
export OTEL_EXPORTER_OTLP_HEADERS="Authorization=Basic ${basic}"`
    : "# No key is needed on this server."
}`,
    },
    {
      id: "python",
      label: "Plain Python",
      code: `# pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(endpoint="${url}/v1/traces"${secured ? `, headers={\n    "Authorization": "Bearer ${secretKey}"}` : ""})))
trace.set_tracer_provider(provider)

with trace.get_tracer("first-steps").start_as_current_span("chat gpt-4o") as span:
    span.set_attribute("gen_ai.operation.name", "chat")
    span.set_attribute("gen_ai.request.model", "gpt-4o")
    span.set_attribute("gen_ai.usage.input_tokens", 12)
    span.set_attribute("gen_ai.usage.output_tokens", 34)${projectId === "default" || secured ? "" : `\n# Everything without a key lands in the default project; use a key of “${projectId}” for this one.`}`,
    },
  ];
}
