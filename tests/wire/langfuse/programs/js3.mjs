// The common program, spelled for JavaScript SDK 3: everything goes through /ingestion.
import { Langfuse, LangfuseMedia } from 'langfuse';
import { CLIENT, DATASET, METADATA, PIXEL, RUN, each, finish, ofTrace, others } from './reading.mjs';

const langfuse = new Langfuse({ baseUrl: process.env.LANGFUSE_HOST });
langfuse.on('error', (error) => { throw error; });
await langfuse.createPrompt({ name: `matrix/${CLIENT} greeting`, prompt: 'Hello {{name}}', labels: ['production'] });
const prompt = await langfuse.getPrompt(`matrix/${CLIENT} greeting`);
const media = new LangfuseMedia({ contentBytes: PIXEL, contentType: 'image/png' });
const trace = langfuse.trace({
  name: 'answer', userId: 'alice', sessionId: `session-${CLIENT}`, tags: ['blue', 'amber'],
  metadata: { team: 'search', depth: { a: 1 } }, input: { question: 'why' }, release: 'r1', version: 'v1',
});
const outer = trace.span({ name: 'outer', input: { step: 1 }, metadata: METADATA });
const inner = outer.span({ name: 'inner', input: { image: media }, level: 'WARNING', statusMessage: 'slow' });
const generation = inner.generation({
  name: 'completion', version: 'v1', model: 'gpt-4o', modelParameters: { temperature: 0.5 },
  input: [{ role: 'user', content: 'why' }], prompt,
});
generation.end({ output: 'because', usage: { input: 100, output: 50, unit: 'TOKENS' } });
inner.event({ name: 'cache-miss', metadata: { key: 'x' } });
inner.end();
outer.end({ output: { answer: 'because' } });
trace.update({ output: { answer: 'because' }, metadata: { depth: { b: 2 } } });
generation.score({ name: 'quality', value: 0.9, comment: 'fine' });
trace.score({ name: 'verdict', value: 'good', dataType: 'CATEGORICAL' });
trace.score({ name: 'passed', value: 1, dataType: 'BOOLEAN' });

await langfuse.createDataset(DATASET);
for (const n of [0, 1])
  await langfuse.createDatasetItem({ datasetName: DATASET, id: `matrix-${n}`, input: { n }, expectedOutput: n * 2 });
const linked = [];
let run;
for (const item of (await langfuse.getDataset(DATASET)).items) {
  const task = langfuse.trace({ name: 'task', input: item.input, output: item.input.n * 2 });
  run = await item.link(task, RUN);
  task.score({ name: 'right', value: 1 });
  linked.push(task.id);
}
await langfuse.flushAsync();

const projects = await langfuse.api.projectsGet();
const told = {
  auth: projects.data.length === 1, trace_id: trace.id, url: trace.getTraceUrl(), compiled: prompt.compile({ name: 'Ada' }),
  media_id: media._mediaId, run_id: run.datasetRunId, run_traces: linked,
};
const ids = await others(told);
finish(told, {
  v1: await each(ids, async (id) => ofTrace((await langfuse.fetchTrace(id)).data)),
  found: (await langfuse.fetchTraces({ userId: 'alice', tags: ['amber', 'blue'] })).data.map((row) => row.id).sort(),
  sessions: (await langfuse.fetchSessions()).data.map((row) => row.id).sort(),
});
await langfuse.shutdownAsync();
