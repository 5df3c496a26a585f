// Calls every method of the generated client of JavaScript SDK 5 and writes down what was answered; types.mjs compares that with the types
// which the client declares. Organization methods use the organization's keys.
import { LangfuseAPIClient } from "@langfuse/core";
import { writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
const base = process.env.LANGFUSE_BASE_URL;
const make = (pk, sk) => new LangfuseAPIClient({ environment: base, baseUrl: base, username: pk, password: sk, xLangfusePublicKey: pk, xLangfuseSdkName: "javascript", xLangfuseSdkVersion: "5.11.1" });
const c = make(process.env.LANGFUSE_PUBLIC_KEY, process.env.LANGFUSE_SECRET_KEY);
const org = make(process.env.ORG_PK, process.env.ORG_SK);
const out = [];
async function call(client, m, ...args) {
  const path = m.split("."); const name = path.pop();
  const target = path.reduce((o, k) => o[k], client);
  try {
    const value = await target[name](...args, { maxRetries: 0, timeoutInSeconds: 10 });
    out.push({ m, args, value }); return value;
  } catch (e) {
    out.push({ m, args, status: e.statusCode, error: e.body ?? String(e) });
    return undefined;
  }
}
// optional request slot: methods with (id, request?, options) need the request to be given
const p = (m, ...a) => call(c, m, ...a);
const o = (m, ...a) => call(org, m, ...a);
const now = new Date(), iso = (d) => new Date(+now + d).toISOString();
const project = (await c.projects.get()).data[0];
await p("health.health");
await p("projects.get");
// ingestion
await p("ingestion.batch", { batch: [
  { type: "trace-create", id: "e1", timestamp: iso(0), body: { id: "t1", name: "one", userId: "u", sessionId: "s1", input: { q: 1 }, output: "out", metadata: { a: 1 }, tags: ["x", "y"], public: true, release: "r", version: "v", environment: "prod", timestamp: iso(-5000) } },
  { type: "generation-create", id: "e2", timestamp: iso(0), body: { id: "g1", traceId: "t1", name: "gen", startTime: iso(-4000), endTime: iso(-3000), completionStartTime: iso(-3500), model: "gpt-4o", modelParameters: { temperature: 0.5, stop: ["a"] }, usage: { promptTokens: 10, completionTokens: 5 }, input: [{ role: "user", content: "x" }], output: { role: "assistant", content: "y" }, metadata: { m: [1] }, level: "WARNING", statusMessage: "hm" } },
  { type: "span-create", id: "e3", timestamp: iso(0), body: { id: "sp1", traceId: "t1", name: "span", startTime: iso(-4000) } },
  { type: "event-create", id: "e4", timestamp: iso(0), body: { id: "ev1", traceId: "t1", name: "event", startTime: iso(-4000), parentObservationId: "sp1" } },
  { type: "trace-create", id: "e5", timestamp: iso(0), body: { id: "t2", name: "two" } },
  { type: "trace-create", id: "e6", timestamp: iso(0), body: { id: "t3", name: "three" } },
  { type: "trace-create", id: "e7", timestamp: iso(0), body: { id: "t4", name: "four" } },
  { type: "sdk-log", id: "e8", timestamp: iso(0), body: { log: { a: 1 } } },
  { type: "nonsense", id: "e9", timestamp: iso(0), body: {} },
  { type: "score-create", id: "e10", timestamp: iso(0), body: { id: "sc-b", traceId: "t1", name: "b", value: 1, dataType: "BOOLEAN" } },
] });
await p("opentelemetry.exportTraces", { resourceSpans: [{ resource: { attributes: [{ key: "service.name", value: { stringValue: "my-service" } }] }, scopeSpans: [{ scope: { name: "langfuse-sdk", version: "2.60.3" }, spans: [{ traceId: "0123456789abcdef0123456789abcdef", spanId: "0123456789abcdef", name: "my-operation", kind: 1, startTimeUnixNano: String(+now - 1000) + "000000", endTimeUnixNano: String(+now) + "000000", attributes: [{ key: "langfuse.observation.type", value: { stringValue: "generation" } }, { key: "weight", value: { doubleValue: 1.5 } }, { key: "n", value: { intValue: 5 } }, { key: "b", value: { boolValue: true } }], status: {} }] }] }] });
// score configs, scores
const cfg = await p("scoreConfigs.create", { name: "num", dataType: "NUMERIC", minValue: 0, maxValue: 10, description: "d" });
const cat = await p("scoreConfigs.create", { name: "cat", dataType: "CATEGORICAL", categories: [{ label: "good", value: 1 }, { label: "bad", value: 0 }] });
const boo = await p("scoreConfigs.create", { name: "boo", dataType: "BOOLEAN" });
await p("scoreConfigs.create", { name: "txt", dataType: "TEXT" });
await p("scoreConfigs.get", { page: 1, limit: 2 });
await p("scoreConfigs.getById", cfg.id);
await p("scoreConfigs.update", cfg.id, { description: "new", maxValue: 20 });
await p("scoreConfigs.update", boo.id, { isArchived: true });
const s1 = await p("scores.create", { traceId: "t1", name: "num", value: 5, configId: cfg.id, comment: "c", metadata: { k: 1 }, environment: "prod" });
await p("legacy.scoreV1.create", { id: "sc-c", traceId: "t1", observationId: "g1", name: "cat", value: "good", configId: cat.id, source: "ANNOTATION" });
await p("scores.create", { sessionId: "s1", name: "session score", value: "long text", dataType: "TEXT" });
await p("scores.getMany", {});
await p("scores.getMany", { fields: "score,trace", userId: "u", traceTags: ["x"], dataType: "NUMERIC", operator: ">", value: 1, environment: ["prod"], fromTimestamp: iso(-100000), toTimestamp: iso(100000) });
await p("scores.getById", s1.id);
await p("scores.getById", "sc-c");
await p("scoresV3.getManyV3", { fields: "details,subject,annotation", limit: 2 });
await p("scoresV3.getManyV3", { fields: "details,subject,annotation", traceId: "t1", dataType: "BOOLEAN" });
// prompts
await p("prompts.create", { name: "folder/p 1", type: "text", prompt: "Hi {{name}}", labels: ["production"], tags: ["a"], config: { t: 1 }, commitMessage: "first" });
await p("prompts.create", { name: "folder/p 1", type: "text", prompt: "Hello {{name}}" });
await p("prompts.create", { name: "chatty", type: "chat", prompt: [{ role: "system", content: "x" }, { type: "placeholder", name: "history" }], labels: ["production"] });
await p("prompts.create", { name: "composed", type: "text", prompt: "A @@@langfusePrompt:name=folder/p 1|label=production@@@", labels: ["production"] });
await p("prompts.get", "folder/p 1", {}); await p("prompts.get", "folder/p 1", { version: 2 }); await p("prompts.get", "chatty", { label: "latest" });
await p("prompts.get", "composed", {}); await p("prompts.get", "composed", { resolve: false });
await p("prompts.list", {}); await p("prompts.list", { name: "chatty", label: "production", tag: "a", page: 1, limit: 1, fromUpdatedAt: iso(-1e6), toUpdatedAt: iso(1e6) });
await p("promptVersion.update", "folder/p 1", 2, { newLabels: ["staging"] });
await p("prompts.delete", "folder/p 1", { version: 2 });
await p("prompts.delete", "chatty", {});
// datasets
const ds = await p("datasets.create", { name: "set/a b", description: "d", metadata: { a: 1 }, inputSchema: { type: "object" }, expectedOutputSchema: { type: "string" } });
await p("datasets.list", {}); await p("datasets.get", "set/a b");
const it = await p("datasetItems.create", { datasetName: "set/a b", id: "it1", input: { q: 1 }, expectedOutput: "a", metadata: { z: [1] }, sourceTraceId: "t1", sourceObservationId: "g1", status: "ACTIVE" });
await p("datasetItems.create", { datasetName: "set/a b", input: { q: 2 }, expectedOutput: "b" });
await p("datasetItems.get", "it1"); await p("datasetItems.list", { datasetName: "set/a b" }); await p("datasetItems.list", { datasetName: "set/a b", version: iso(0), sourceTraceId: "t1", limit: 1 });
const ri = await p("datasetRunItems.create", { runName: "run / 1", runDescription: "rd", metadata: { m: 1 }, datasetItemId: "it1", traceId: "t1", observationId: "g1" });
await p("datasetRunItems.list", { datasetId: ds.id, runName: "run / 1" });
await p("datasets.getRun", "set/a b", "run / 1"); await p("datasets.getRuns", "set/a b", { page: 1, limit: 10 });
await p("scores.create", { datasetRunId: ri.datasetRunId, name: "run score", value: 0.5 });
await p("scores.getMany", { datasetRunId: ri.datasetRunId });
await p("experiments.list", { fromStartTime: iso(-1e9), fields: "core,metadata,scores" });
await p("experiments.listItems", { fromStartTime: iso(-1e9), fields: "core,io,metadata,scores" });
await p("datasets.deleteRun", "set/a b", "run / 1");
// comments
const cm = await p("comments.create", { projectId: project.id, objectType: "TRACE", objectId: "t1", content: "hi" });
await p("comments.create", { projectId: project.id, objectType: "SESSION", objectId: "s1", content: "hi", authorUserId: "somebody" });
await p("comments.get", {}); await p("comments.get", { objectType: "TRACE", objectId: "t1" }); await p("comments.getById", cm.id);
// reads
await p("trace.get", "t1", {}); await p("trace.get", "t1", { fields: "core,io" }); await p("trace.list", {}); await p("trace.list", { fields: "core", tags: ["x"], userId: "u", orderBy: "timestamp.desc", environment: ["prod"], version: "v", release: "r", sessionId: "s1", name: "one" });
await p("trace.list", { filter: JSON.stringify([{ type: "stringOptions", column: "name", operator: "any of", value: ["one"] }]) });
await p("legacy.observationsV1.get", "g1"); await p("legacy.observationsV1.getMany", {}); await p("legacy.observationsV1.getMany", { traceId: "t1", type: "GENERATION", level: "WARNING", name: "gen", parentObservationId: undefined });
await p("observations.getMany", {}); await p("observations.getMany", { fields: "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context", traceId: "t1", limit: 2 });
await p("sessions.list", {}); await p("sessions.get", "s1");
await p("metrics.metrics", { query: JSON.stringify({ view: "observations", metrics: [{ measure: "totalCost", aggregation: "sum" }, { measure: "count", aggregation: "count" }], dimensions: [{ field: "providedModelName" }], filters: [], timeDimension: { granularity: "day" }, fromTimestamp: iso(-1e8), toTimestamp: iso(1e8) }) });
await p("legacy.metricsV1.metrics", { query: JSON.stringify({ view: "traces", metrics: [{ measure: "count", aggregation: "count" }], dimensions: [{ field: "name" }], filters: [], fromTimestamp: iso(-1e8), toTimestamp: iso(1e8) }) });
// annotation queues
const q = await p("annotationQueues.createQueue", { name: "q", description: null, scoreConfigIds: [cfg.id] });
await p("annotationQueues.listQueues", {}); await p("annotationQueues.getQueue", q.id);
const qi = await p("annotationQueues.createQueueItem", q.id, { objectId: "t1", objectType: "TRACE" });
const qi2 = await p("annotationQueues.createQueueItem", q.id, { objectId: "g1", objectType: "OBSERVATION", status: "COMPLETED" });
await p("annotationQueues.listQueueItems", q.id, { status: "PENDING" }); await p("annotationQueues.getQueueItem", q.id, qi.id);
await p("annotationQueues.updateQueueItem", q.id, qi.id, { status: "COMPLETED" });
await p("annotationQueues.deleteQueueItem", q.id, qi2.id);
// media
const bytes = Buffer.from("hello media"), sha = createHash("sha256").update(bytes).digest("base64");
const md = await p("media.getUploadUrl", { traceId: "t1", observationId: "g1", contentType: "text/plain", contentLength: bytes.length, sha256Hash: sha, field: "input" });
const put = await fetch(md.uploadUrl, { method: "PUT", body: bytes, headers: { "content-type": "text/plain", "x-amz-checksum-sha256": sha, "x-ms-blob-type": "BlockBlob" } });
await p("media.patch", md.mediaId, { uploadedAt: iso(0), uploadHttpStatus: put.status, uploadTimeMs: 3 });
await p("media.get", md.mediaId);
await p("media.getUploadUrl", { datasetId: ds.id, datasetItemId: "it1", contentType: "text/plain", contentLength: bytes.length, sha256Hash: sha, field: "expectedOutput" });
// models
const mo = await p("models.create", { modelName: "mine", matchPattern: "(?i)^mine$", unit: "TOKENS", inputPrice: 0.001, outputPrice: 0.002, tokenizerId: "openai", tokenizerConfig: { tokenizerModel: "gpt-4o" }, startDate: "2024-01-01T00:00:00.000Z" });
const mt = await p("models.create", { modelName: "tiers", matchPattern: "^tiers$", pricingTiers: [{ name: "std", isDefault: true, priority: 0, conditions: [], prices: { input: 0.1, output: 0.2 } }, { name: "big", isDefault: false, priority: 1, conditions: [{ usageDetailPattern: "^input", operator: "gt", value: 200000, caseSensitive: false }], prices: { input: 0.2, output: 0.4 } }] });
await p("models.upsert", mo.id, { modelName: "mine", matchPattern: "(?i)^mine$", unit: "TOKENS", totalPrice: 0.003 });
await p("models.list", { page: 1, limit: 5 }); await p("models.get", mt.id); await p("models.delete", mo.id);
// llm connections
const lc = await p("llmConnections.upsert", { provider: "mine", adapter: "openai", secretKey: "sk-12345678", baseURL: "https://x.example/v1", customModels: ["m"], withDefaultModels: false, extraHeaders: { a: "b" } });
await p("llmConnections.list", {}); 
// evaluators
const ev = await p("evaluators.create", { type: "llm_as_judge", name: "judge", description: "d", prompt: "Judge {{output}}", modelConfig: { provider: "mine", model: "m" }, variableMapping: [{ variable: "output", source: "output" }], outputDefinition: { dataType: "NUMERIC", minValue: 0, maxValue: 1, scoreReasoningInstructions: "why", scoreValueInstructions: "what" } });
await p("evaluators.list", {}); 
if (ev) { await p("evaluators.get", ev.id); await p("evaluators.update", ev.id, { description: "new" }); await p("evaluators.listVersions", ev.id, {});
const ru = await p("evaluationRules.create", { name: "rule", enabled: false, sampling: 0.5, filter: [{ type: "stringOptions", column: "type", operator: "any of", value: ["GENERATION"] }], evaluatorAssignments: [{ evaluatorId: ev.id }] });
await p("evaluationRules.list", {}); if (ru) { await p("evaluationRules.get", ru.id); await p("evaluationRules.update", ru.id, { enabled: true }); await p("evaluationRules.delete", ru.id); }
await p("evaluators.delete", ev.id); }
await p("llmConnections.delete", lc.id);
await p("feedback.submit", { targetType: "skill", target: "target", feedback: "feedback", goal: "g", referenceUrl: "https://x.example" });
// dashboards
const w = await p("unstable.dashboardWidgets.create", { name: "Total cost by model", description: "Total model cost", view: "observations", dimensions: [{ field: "providedModelName" }], metrics: [{ measure: "totalCost", agg: "sum" }], filters: [], chartType: "HORIZONTAL_BAR", chartConfig: { row_limit: 10 } });
await p("unstable.dashboardWidgets.list", {}); 
const d = await p("unstable.dashboards.create", { name: "board", description: "x" });
await p("unstable.dashboards.list", {}); await p("unstable.dashboards.get", d.id);
await p("unstable.dashboards.update", d.id, { name: "board 2" });
if (w) { await p("unstable.dashboardWidgets.get", w.id); await p("unstable.dashboardWidgets.update", w.id, { name: "new" });
const pl = await p("unstable.dashboards.addPlacement", d.id, { type: "widget", widgetId: w.id });
if (pl) { await p("unstable.dashboards.updatePlacement", d.id, pl.id, { x: 2 }); await p("unstable.dashboards.get", d.id); await p("unstable.dashboards.deletePlacement", d.id, pl.id); }
await p("unstable.dashboardWidgets.delete", w.id); }
await p("unstable.dashboards.delete", d.id);
// organization
const op = await o("projects.create", { name: "made", metadata: { a: 1 }, retention: 30 });
await o("projects.update", op.id, { name: "made 2", metadata: {}, retention: 0 });
const bs = await o("blobStorageIntegrations.upsertBlobStorageIntegration", { projectId: op.id, type: "S3", bucketName: "bucket", region: "us-east-1", accessKeyId: "a", secretAccessKey: "b", prefix: "p/", exportFrequency: "daily", enabled: false, forcePathStyle: false, fileType: "JSONL", exportMode: "FULL_HISTORY" });
await o("blobStorageIntegrations.getBlobStorageIntegrations");
if (bs) { await o("blobStorageIntegrations.getBlobStorageIntegrationStatus", bs.id); await o("blobStorageIntegrations.deleteBlobStorageIntegration", bs.id); }
const key = await o("projects.createApiKey", op.id, { note: "n" }); await o("projects.getApiKeys", op.id); await o("projects.deleteApiKey", op.id, key.id);
await o("scim.getServiceProviderConfig"); await o("scim.getResourceTypes"); await o("scim.getSchemas");
const us = await o("scim.createUser", { userName: "ann@x.example", name: { formatted: "Ann" }, emails: [{ primary: true, value: "ann@x.example", type: "work" }], active: true, password: "long enough 1" });
await o("scim.listUsers", { startIndex: 1, count: 10 }); await o("scim.getUser", us.id);
await o("organizations.getOrganizationMemberships"); await o("organizations.updateOrganizationMembership", { userId: us.id, role: "MEMBER" });
await o("organizations.getProjectMemberships", op.id); await o("organizations.updateProjectMembership", op.id, { userId: us.id, role: "ADMIN" }); await o("organizations.deleteProjectMembership", op.id, { userId: us.id });
await o("organizations.getOrganizationProjects"); await o("organizations.getOrganizationApiKeys");
await p("annotationQueues.createQueueAssignment", q.id, { userId: us.id });
await p("annotationQueues.deleteQueueAssignment", q.id, { userId: us.id });
await o("organizations.deleteOrganizationMembership", { userId: us.id });
const gone = await o("scim.createUser", { userName: "bob@x.example", name: { formatted: "Bob" }, password: "long enough 1" });
await o("scim.deleteUser", gone.id);
await o("projects.delete", op.id);
// deletes
await p("legacy.scoreV1.delete", s1.id);
await p("datasetItems.delete", "it1");
await p("trace.delete", "t4"); await p("trace.deleteMultiple", { traceIds: ["t2", "t3"] });
writeFileSync(process.argv[2], JSON.stringify(out, null, 1));
