// What the JavaScript programs of the matrix read back, in the shape of reading.py.
import { createInterface } from 'node:readline/promises';

export const PIXEL = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64',
);
export const METADATA = {
  k: 'v', int: 7, float: 1.5, flag: true, none: null, list: [1, 'a'], object: { a: { b: 1 } },
};
export const DATASET = 'matrix/questions & answers';
export const RUN = 'run / one';
export const CLIENT = process.env.CLIENT ?? 'client';
export const FIELDS = 'core,basic,io,usage,model,prompt,trace_context,metadata';
export const EXPAND = Object.keys(METADATA).join(',');

const round = (cost) => Math.round(cost * 1e6) / 1e6;
const tokens = (usage) => [usage.input, usage.output, usage.total];
const MEDIA = '@@@langfuseMedia:type=image/png|id=';

function tree(rows) {
  const names = Object.fromEntries(rows.map((row) => [row.id, row.name]));
  const found = rows.map((row) => [row.name, row.type, names[row.parentObservationId] ?? null]);
  return found.sort((a, b) => (a[0] < b[0] ? -1 : 1));
}

function common(generation, inner, outer) {
  return {
    tokens: tokens(generation.usageDetails),
    output: generation.output,
    prompt: [generation.promptName, generation.promptVersion],
    level: inner.level,
    metadata: Object.fromEntries(Object.keys(METADATA).map((key) => [key, outer.metadata[key] ?? null])),
    media: JSON.stringify(inner.input).includes(MEDIA),
  };
}

export function ofTrace(trace) {
  const rows = Object.fromEntries(trace.observations.map((row) => [row.name, row]));
  return {
    name: trace.name, user: trace.userId, session: trace.sessionId, tags: trace.tags, version: trace.version,
    cost: round(trace.totalCost), observations: tree(trace.observations), model: rows.completion.model,
    ...common(rows.completion, rows.inner, rows.outer),
    scores: Object.fromEntries(trace.scores.map((score) => [score.name, score.value])),
  };
}

export function ofRows(rows, scores) {
  const found = Object.fromEntries(rows.map((row) => [row.name, row]));
  const generation = found.completion;
  return {
    name: generation.traceName, user: generation.userId, session: generation.sessionId, tags: generation.tags,
    version: generation.version, cost: round(rows.reduce((sum, row) => sum + (row.totalCost ?? 0), 0)),
    observations: tree(rows), model: generation.model ?? generation.providedModelName,
    ...common(generation, found.inner, found.outer),
    scores: Object.fromEntries(scores.map((score) => [score.name, score.value])),
  };
}

export async function others(told) {
  console.log(JSON.stringify(told));
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) {
    lines.close();
    return JSON.parse(line);
  }
  return [told.trace_id];
}

export const finish = (told, readings) => console.log(JSON.stringify({ ...told, readings }));

export const each = async (ids, read) =>
  Object.fromEntries(await Promise.all(ids.map(async (id) => [id, await read(id)])));
