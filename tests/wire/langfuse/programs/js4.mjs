// The common program, spelled for JavaScript SDK 4 and 5: OTLP as JSON, scores through /ingestion.
import { LangfuseClient } from '@langfuse/client';
import { LangfuseSpanProcessor } from '@langfuse/otel';
import * as tracing from '@langfuse/tracing';
import { LangfuseMedia } from '@langfuse/core';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { CLIENT, DATASET, EXPAND, FIELDS, METADATA, PIXEL, RUN, each, finish, ofRows, ofTrace, others } from './reading.mjs';

const major = tracing.propagateAttributes ? 5 : 4;
const processor = new LangfuseSpanProcessor({ exportMode: 'batched' });
new NodeTracerProvider({ spanProcessors: [processor] }).register();
const langfuse = new LangfuseClient();
await langfuse.prompt.create({ name: `matrix/${CLIENT} greeting`, type: 'text', prompt: 'Hello {{name}}', labels: ['production'] });
const prompt = await langfuse.prompt.get(`matrix/${CLIENT} greeting`);
const media = new LangfuseMedia({ source: 'bytes', contentBytes: PIXEL, contentType: 'image/png' });
const about = {
  userId: 'alice', sessionId: `session-${CLIENT}`, tags: ['blue', 'amber'], metadata: { team: 'search' }, version: 'v1',
};

const answer = () =>
  tracing.startActiveObservation('outer', async (outer) => {
    outer.update({ input: { step: 1 }, metadata: METADATA });
    if (major === 4) tracing.updateActiveTrace({ name: 'answer', ...about });
    await tracing.startActiveObservation('inner', async (inner) => {
      inner.update({ input: { image: media }, level: 'WARNING', statusMessage: 'slow' });
      await tracing.startActiveObservation('completion', async (generation) => {
        generation.update({
          version: 'v1', model: 'gpt-4o', modelParameters: { temperature: 0.5 }, input: [{ role: 'user', content: 'why' }], prompt,
          output: 'because', usageDetails: { input: 100, output: 50 },
        });
        langfuse.score.observation(generation, { name: 'quality', value: 0.9, comment: 'fine' });
      }, { asType: 'generation' });
      inner.startObservation('cache-miss', { metadata: { key: 'x' } }, { asType: 'event' });
    });
    outer.update({ output: { answer: 'because' } });
    langfuse.score.trace(outer, { name: 'verdict', value: 'good', dataType: 'CATEGORICAL' });
    langfuse.score.trace(outer, { name: 'passed', value: 1, dataType: 'BOOLEAN' });
    return outer.traceId;
  });
const traceId = major === 4 ? await answer() : await tracing.propagateAttributes({ traceName: 'answer', ...about }, answer);

await langfuse.api.datasets.create({ name: DATASET });
for (const n of [0, 1])
  await langfuse.api.datasetItems.create({ datasetName: DATASET, id: `matrix-${n}`, input: { n }, expectedOutput: n * 2 });
const result = await (await langfuse.dataset.get(DATASET)).runExperiment({
  name: 'exp', runName: RUN, task: async (item) => item.input.n * 2,
  evaluators: [async ({ output, expectedOutput }) => ({ name: 'right', value: Number(output === expectedOutput) })],
});
await processor.forceFlush();
await langfuse.flush();

const { api } = langfuse;
const told = {
  auth: (await api.projects.get()).data.length === 1, trace_id: traceId, url: await langfuse.getTraceUrl(traceId),
  compiled: prompt.compile({ name: 'Ada' }), media_id: await media.getId(), run_id: result.datasetRunId,
  run_traces: result.itemResults.map((item) => item.traceId),
};
const ids = await others(told);
const observations = api.observationsV2 ?? api.observations;
const scores = async (traceId) => (await (api.scoreV2?.get({ traceId }) ?? api.scores.getMany({ traceId }))).data;
finish(told, {
  v1: await each(ids, async (id) => ofTrace(await api.trace.get(id))),
  v2: await each(ids, async (id) =>
    ofRows((await observations.getMany({ traceId: id, fields: FIELDS, expandMetadata: EXPAND })).data, await scores(id))),
  found: (await api.trace.list({ userId: 'alice', tags: ['amber', 'blue'] })).data.map((row) => row.id).sort(),
  sessions: (await api.sessions.list({})).data.map((row) => row.id).sort(),
});
await langfuse.shutdown();
