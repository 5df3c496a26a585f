// Vercel's AI SDK 5 with its telemetry: the outer span repeats what the provider call inside it reports.
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { generateText } from 'ai5';
import { createOpenAI } from 'openai5';

const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] });
provider.register();
const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL, apiKey: process.env.OPENAI_API_KEY });
await provider.getTracer('app').startActiveSpan('vercel_ai5', async (span) => {
  await generateText({ model: openai.chat('gpt-4o-mini'), prompt: 'Why?', experimental_telemetry: { isEnabled: true } });
  span.end();
});
await provider.shutdown();
