/**
 * Find the conversation in whatever a span recorded. Instrumentations agree on roles and texts and on nothing else, so
 * each known shape is one small reader; what none of them knows stays JSON and is shown as such. Nothing is dropped:
 * parts without a reader become `json` parts.
 *
 * Shapes: OpenAI chat and responses, Anthropic messages, gen_ai parts (OTel semantic conventions), OpenInference nested
 * and flattened messages, Gemini contents, Vercel AI SDK, LangChain messages, Bedrock Converse.
 */

export type Part =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "reasoning"; readonly text: string }
  | { readonly type: "image"; readonly src: string }
  | { readonly type: "audio"; readonly src: string | null; readonly transcript: string | null }
  | { readonly type: "file"; readonly name: string; readonly src: string | null }
  | { readonly type: "tool_call"; readonly id: string | null; readonly name: string; readonly args: unknown }
  | {
      readonly type: "tool_result";
      readonly id: string | null;
      readonly name: string | null;
      readonly result: unknown;
      readonly error: boolean;
    }
  | { readonly type: "json"; readonly value: unknown };

export interface Message {
  readonly role: string;
  readonly name: string | null;
  readonly parts: readonly Part[];
}

export interface Tool {
  readonly name: string;
  readonly description: string | null;
  readonly schema: unknown;
}

export interface Chat {
  readonly messages: readonly Message[];
  readonly tools: readonly Tool[];
  /** What stood beside the messages (temperature and the like); null when nothing did. */
  readonly rest: Readonly<Record<string, unknown>> | null;
}

type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const str = (value: unknown): string | null => (typeof value === "string" ? value : null);

/** The conversation in `value`, or null when it is something else. `side` decides the role of messages without one. */
export function readChat(value: unknown, side: "input" | "output"): Chat | null {
  const found = read(parseText(value), side === "input" ? "user" : "assistant", 0);
  return found && found.messages.length > 0 ? found : null;
}

/** Text that is itself JSON (double encoded by the instrumentation) is read once more. */
function parseText(value: unknown): unknown {
  if (typeof value !== "string") return value;
  const text = value.trim();
  if (!(text.startsWith("{") || text.startsWith("["))) return value;
  try {
    return JSON.parse(text);
  } catch {
    return value;
  }
}

function read(value: unknown, role: string, depth: number): Chat | null {
  if (depth > 3) return null;
  if (Array.isArray(value)) {
    if (value.length === 1 && Array.isArray(value[0])) return read(value[0], role, depth + 1);
    if (value.length === 0 || !value.every(looksLikeMessage)) return null;
    return { messages: merge(value.map((m) => message(m, role))), tools: [], rest: null };
  }
  if (!isObject(value)) return null;
  if (looksLikeMessage(value)) return { messages: [message(value, role)], tools: [], rest: null };
  return container(value, role, depth);
}

/** Objects that hold messages under a known name, with settings beside them. */
function container(value: Json, role: string, depth: number): Chat | null {
  const flat = openInference(value);
  if (flat) return flat;
  const choices = value.choices ?? value.candidates;
  if (Array.isArray(choices) && choices.length > 0) {
    const messages = choices.filter(isObject).map((c) => message(c.message ?? c.delta ?? c.content ?? c, "assistant"));
    return { messages, tools: [], rest: leftover(value, ["choices", "candidates"]) };
  }
  for (const name of [
    "messages",
    "input_messages",
    "output_messages",
    "contents",
    "prompt",
    "input",
    "output",
    "generations",
    "message",
  ]) {
    const inner = parseText(value[name]);
    if (inner === undefined || typeof inner === "string") continue;
    const found = read(inner, role, depth + 1);
    if (!found) continue;
    const before: Message[] = [];
    for (const key of ["system", "system_instruction", "systemInstruction", "instructions"]) {
      const text = value[key];
      if (text !== undefined && text !== null) before.push({ role: "system", name: null, parts: content(text) });
    }
    const rest = leftover(value, [name, "system", "system_instruction", "systemInstruction", "instructions", "tools"]);
    return { messages: [...before, ...found.messages], tools: [...tools(value.tools), ...found.tools], rest };
  }
  return null;
}

function leftover(value: Json, used: readonly string[]): Json | null {
  const rest = Object.entries(value).filter(([k, v]) => !used.includes(k) && v !== null && v !== undefined);
  return rest.length > 0 ? Object.fromEntries(rest) : null;
}

const ITEMS = new Set([
  "function_call",
  "function_call_output",
  "reasoning",
  "message",
  "custom_tool_call",
  "custom_tool_call_output",
]);

function looksLikeMessage(value: unknown): boolean {
  if (!isObject(value)) return false;
  if (typeof value.role === "string") {
    return ["content", "parts", "tool_calls", "function_call", "text", "refusal", "contents"].some((k) => k in value);
  }
  if (isObject(value.message)) return looksLikeMessage(value.message);
  if (typeof value.type === "string" && ITEMS.has(value.type)) return true;
  if (typeof value.type === "string" && /^(human|ai|system|tool|function)$/i.test(value.type) && "content" in value)
    return true;
  if (value.type === "constructor" && isObject(value.kwargs) && "content" in value.kwargs) return true;
  return Array.isArray(value.parts) && value.parts.every(isObject) && value.parts.length > 0;
}

function message(raw: unknown, fallback: string): Message {
  if (typeof raw === "string") return { role: fallback, name: null, parts: [{ type: "text", text: raw }] };
  if (!isObject(raw)) return { role: fallback, name: null, parts: [{ type: "json", value: raw }] };
  if (isObject(raw.message) && !("content" in raw)) return message(raw.message, fallback);
  if (raw.type === "constructor" && isObject(raw.kwargs)) {
    const kind = Array.isArray(raw.id) ? String(raw.id[raw.id.length - 1]) : "";
    return message({ ...raw.kwargs, type: kind.replace(/Message(Chunk)?$/, "").toLowerCase() }, fallback);
  }
  const type = str(raw.type);
  if (type && ITEMS.has(type) && typeof raw.role !== "string") {
    const one = part(raw);
    const role = one.type === "tool_result" ? "tool" : "assistant";
    return { role, name: null, parts: [one] };
  }
  const role = roleOf(str(raw.role) ?? (type && /^(human|ai|system|tool|function)$/i.test(type) ? type : fallback));
  const parts: Part[] = [];
  const reasoning = str(raw.reasoning_content) ?? str(raw.reasoning) ?? str(raw.thinking);
  if (reasoning) parts.push({ type: "reasoning", text: reasoning });
  const body = raw.content ?? raw.parts ?? raw.contents ?? raw.text;
  if (role === "tool" && !hasToolResult(body)) {
    parts.push({
      type: "tool_result",
      id: str(raw.tool_call_id) ?? str(raw.toolCallId) ?? str(raw.id),
      name: str(raw.name) ?? str(raw.tool_name),
      result: typeof body === "string" ? parseText(body) : body,
      error: raw.status === "error" || raw.is_error === true,
    });
  } else if (body !== null && body !== undefined && body !== "") parts.push(...content(body));
  if (typeof raw.refusal === "string") parts.push({ type: "text", text: raw.refusal });
  if (isObject(raw.audio)) parts.push(audio(raw.audio));
  for (const call of array(raw.tool_calls ?? raw.toolCalls ?? raw["message.tool_calls"])) parts.push(toolCall(call));
  if (isObject(raw.function_call)) parts.push(toolCall(raw.function_call));
  return { role, name: role === "tool" ? null : str(raw.name), parts };
}

function array(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function hasToolResult(body: unknown): boolean {
  return array(body).some((p) => isObject(p) && part(p).type === "tool_result");
}

function roleOf(role: string): string {
  const lower = role.toLowerCase();
  return (
    { human: "user", ai: "assistant", model: "assistant", function: "tool", developer: "system", bot: "assistant" }[
      lower
    ] ?? lower
  );
}

/** Message content: a text, one part or a list of parts. */
function content(value: unknown): Part[] {
  if (typeof value === "string") return [{ type: "text", text: value }];
  if (Array.isArray(value))
    return value.map((p) => (typeof p === "string" ? ({ type: "text", text: p } as const) : part(p)));
  if (isObject(value) && Array.isArray(value.parts)) return content(value.parts);
  return [part(value)];
}

function part(raw: unknown): Part {
  if (!isObject(raw)) return { type: "json", value: raw };
  const inner = raw.message_content;
  if (isObject(inner)) return part(inner);
  switch (str(raw.type)) {
    case "text":
    case "input_text":
    case "output_text":
    case "refusal": {
      const text = str(raw.text) ?? str(raw.content) ?? str(raw.refusal);
      if (text !== null) return { type: "text", text };
      break;
    }
    case "thinking":
    case "reasoning":
    case "redacted_thinking": {
      const text =
        str(raw.thinking) ??
        str(raw.content) ??
        str(raw.text) ??
        str(raw.reasoning) ??
        summary(raw.summary ?? raw.content);
      if (text !== null) return { type: "reasoning", text };
      break;
    }
    case "image_url":
    case "input_image":
    case "image": {
      const src = imageSource(raw);
      if (src !== null) return { type: "image", src };
      break;
    }
    case "input_audio":
    case "audio":
      return audio(isObject(raw.input_audio) ? raw.input_audio : raw);
    case "blob":
    case "uri":
    case "media":
      return blob(raw);
    case "file":
    case "input_file":
    case "document":
      return file(raw);
    case "tool_use":
    case "tool_call":
    case "tool-call":
    case "function_call":
    case "function":
    case "custom_tool_call":
    case "server_tool_use":
      return toolCall(raw);
    case "tool_result":
    case "tool_call_response":
    case "tool-result":
    case "function_call_output":
    case "custom_tool_call_output":
      return {
        type: "tool_result",
        id: str(raw.tool_use_id) ?? str(raw.tool_call_id) ?? str(raw.toolCallId) ?? str(raw.call_id) ?? str(raw.id),
        name: str(raw.name) ?? str(raw.toolName),
        result: parseText(plain(raw.content ?? raw.result ?? raw.response ?? raw.output)),
        error: raw.is_error === true || raw.isError === true,
      };
  }
  // Gemini and Bedrock name the kind by the key.
  if (typeof raw.text === "string") return { type: raw.thought === true ? "reasoning" : "text", text: raw.text };
  const call = raw.functionCall ?? raw.function_call ?? raw.toolUse;
  if (isObject(call)) return toolCall(call);
  const answer = raw.functionResponse ?? raw.function_response ?? raw.toolResult;
  if (isObject(answer)) {
    return {
      type: "tool_result",
      id: str(answer.toolUseId) ?? str(answer.id),
      name: str(answer.name),
      result: plain(answer.response ?? answer.content),
      error: answer.status === "error",
    };
  }
  const data = raw.inlineData ?? raw.inline_data;
  if (isObject(data)) return blob({ ...data, mime_type: data.mimeType ?? data.mime_type, content: data.data });
  return { type: "json", value: raw };
}

function summary(value: unknown): string | null {
  const texts = array(value)
    .map((s) => (isObject(s) ? str(s.text) : str(s)))
    .filter((s): s is string => s !== null);
  return texts.length > 0 ? texts.join("\n\n") : null;
}

/** A list of nothing but text parts is its text. */
function plain(value: unknown): unknown {
  if (!Array.isArray(value) || value.length === 0) return value;
  const parts = content(value);
  return parts.every((p) => p.type === "text") ? parts.map((p) => (p.type === "text" ? p.text : "")).join("\n") : value;
}

function toolCall(raw: unknown): Part {
  if (!isObject(raw)) return { type: "json", value: raw };
  const nested = raw.tool_call;
  if (isObject(nested)) return toolCall(nested);
  const fn = isObject(raw.function) ? raw.function : raw;
  return {
    type: "tool_call",
    id: str(raw.id) ?? str(raw.call_id) ?? str(raw.toolCallId) ?? str(raw.toolUseId),
    name: str(fn.name) ?? str(raw.toolName) ?? "tool",
    args: parseText(fn.arguments ?? fn.args ?? fn.input ?? raw.input ?? raw.arguments ?? null),
  };
}

function imageSource(raw: Json): string | null {
  const url = raw.image_url ?? raw.url ?? raw.image;
  if (typeof url === "string") return url;
  if (isObject(url)) return str(url.url);
  const source = raw.source;
  if (isObject(source)) {
    const data = str(source.data);
    return data ? dataUrl(str(source.media_type) ?? "image/png", data) : str(source.url);
  }
  const data = str(raw.data) ?? str(raw.content);
  return data ? dataUrl(str(raw.mime_type) ?? str(raw.mediaType) ?? str(raw.mimeType) ?? "image/png", data) : null;
}

function dataUrl(mime: string, data: string): string {
  return /^(data:|https?:|@@@)/.test(data) ? data : `data:${mime};base64,${data}`;
}

function audio(raw: Json): Part {
  const data = str(raw.data);
  return {
    type: "audio",
    src: data ? dataUrl(`audio/${str(raw.format) ?? "wav"}`, data) : str(raw.url),
    transcript: str(raw.transcript),
  };
}

function blob(raw: Json): Part {
  const mime =
    str(raw.mime_type) ?? str(raw.media_type) ?? str(raw.mimeType) ?? (str(raw.modality) ? `${raw.modality}/*` : "");
  const data = str(raw.content) ?? str(raw.data);
  const src = data ? dataUrl(mime, data) : str(raw.uri);
  if (mime.startsWith("image") && src) return { type: "image", src };
  if (mime.startsWith("audio")) return { type: "audio", src, transcript: null };
  return { type: "file", name: str(raw.name) ?? (mime || "file"), src };
}

function file(raw: Json): Part {
  const inner = isObject(raw.file) ? raw.file : raw;
  const source = isObject(raw.source) ? raw.source : null;
  const data = str(inner.file_data) ?? str(inner.data) ?? (source ? str(source.data) : null);
  const mime = (source ? str(source.media_type) : null) ?? str(inner.mediaType) ?? "application/octet-stream";
  return {
    type: "file",
    name: str(inner.filename) ?? str(raw.title) ?? str(inner.file_id) ?? "file",
    src: data ? dataUrl(mime, data) : (str(inner.file_url) ?? (source ? str(source.url) : null)),
  };
}

function tools(value: unknown): Tool[] {
  return array(value)
    .filter(isObject)
    .map((raw) => {
      const fn = isObject(raw.function) ? raw.function : raw;
      return {
        name: str(fn.name) ?? str(raw.type) ?? "tool",
        description: str(fn.description),
        schema: fn.parameters ?? fn.input_schema ?? fn.inputSchema ?? null,
      };
    });
}

/** OpenInference's flattened keys: `llm.input_messages.0.message.role`. */
function openInference(value: Json): Chat | null {
  const rows = new Map<number, Json>();
  for (const [name, item] of Object.entries(value)) {
    const found = /^llm\.(?:input|output)_messages\.(\d+)\.message\.(.+)$/.exec(name);
    if (!found?.[1] || !found[2]) continue;
    const row = rows.get(Number(found[1])) ?? {};
    put(row, found[2].split("."), item);
    rows.set(Number(found[1]), row);
  }
  if (rows.size === 0) return null;
  const messages = [...rows.entries()]
    .sort(([a], [b]) => a - b)
    .map(([, row]) => {
      const contents = indexed(row.contents).map((c) => (isObject(c) ? (c.message_content ?? c) : c));
      const calls = indexed(row.tool_calls).map((c) => (isObject(c) ? (c.tool_call ?? c) : c));
      return message(
        {
          ...row,
          content: row.content ?? (contents.length > 0 ? contents : undefined),
          contents: undefined,
          tool_calls: calls,
        },
        "user",
      );
    });
  return { messages, tools: [], rest: null };
}

function put(target: Json, path: readonly string[], value: unknown): void {
  let at = target;
  path.forEach((key, i) => {
    if (key === "__proto__") return;
    if (i === path.length - 1) at[key] = value;
    else {
      if (!isObject(at[key])) at[key] = {};
      at = at[key] as Json;
    }
  });
}

function indexed(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  if (!isObject(value)) return [];
  return Object.keys(value)
    .sort((a, b) => Number(a) - Number(b))
    .map((k) => value[k]);
}

/** Neighbouring items of one assistant turn (OpenAI responses lists them one by one) read as one message. */
function merge(messages: readonly Message[]): Message[] {
  const out: Message[] = [];
  for (const next of messages) {
    const last = out[out.length - 1];
    const items = next.parts.every((p) => p.type === "tool_call" || p.type === "reasoning");
    if (last && last.role === "assistant" && next.role === "assistant" && next.name === last.name && items) {
      out[out.length - 1] = { ...last, parts: [...last.parts, ...next.parts] };
    } else out.push(next);
  }
  return out;
}

/** The plain words of a message, for previews and search. */
export function textOf(message: Message): string {
  return message.parts
    .map((p) => (p.type === "text" || p.type === "reasoning" ? p.text : p.type === "tool_call" ? `${p.name}(…)` : ""))
    .filter(Boolean)
    .join(" ");
}
