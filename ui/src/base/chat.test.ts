import { describe, expect, it } from "vitest";
import { readChat } from "./chat";

const roles = (v: unknown, side: "input" | "output" = "input") =>
  readChat(v, side)?.messages.map((m) => [m.role, ...m.parts.map((p) => p.type)]);

describe("readChat", () => {
  it("reads OpenAI chat with tools and images", () => {
    const chat = readChat(
      {
        model: "gpt-4o",
        temperature: 0,
        messages: [
          { role: "system", content: "Be brief." },
          {
            role: "user",
            content: [
              { type: "text", text: "What is this?" },
              { type: "image_url", image_url: { url: "data:image/png;base64,AAAA" } },
            ],
          },
          {
            role: "assistant",
            content: null,
            tool_calls: [{ id: "c1", type: "function", function: { name: "look", arguments: '{"x":1}' } }],
          },
          { role: "tool", tool_call_id: "c1", content: '{"ok":true}' },
        ],
        tools: [{ type: "function", function: { name: "look", description: "Looks", parameters: { type: "object" } } }],
      },
      "input",
    );
    expect(chat?.messages.map((m) => [m.role, ...m.parts.map((p) => p.type)])).toEqual([
      ["system", "text"],
      ["user", "text", "image"],
      ["assistant", "tool_call"],
      ["tool", "tool_result"],
    ]);
    expect(chat?.messages[2]?.parts[0]).toEqual({ type: "tool_call", id: "c1", name: "look", args: { x: 1 } });
    expect(chat?.messages[3]?.parts[0]).toMatchObject({ id: "c1", result: { ok: true } });
    expect(chat?.tools).toEqual([{ name: "look", description: "Looks", schema: { type: "object" } }]);
    expect(chat?.rest).toEqual({ model: "gpt-4o", temperature: 0 });
  });
  it("reads OpenAI completions and responses", () => {
    expect(
      roles({ id: "x", choices: [{ index: 0, message: { role: "assistant", content: "Hi" } }] }, "output"),
    ).toEqual([["assistant", "text"]]);
    expect(
      roles({
        instructions: "Be brief",
        input: [
          { role: "user", content: [{ type: "input_text", text: "q" }] },
          { type: "reasoning", summary: [{ type: "summary_text", text: "thinking" }] },
          { type: "function_call", call_id: "a", name: "f", arguments: "{}" },
          { type: "function_call_output", call_id: "a", output: "42" },
        ],
      }),
    ).toEqual([
      ["system", "text"],
      ["user", "text"],
      ["assistant", "reasoning", "tool_call"],
      ["tool", "tool_result"],
    ]);
  });
  it("reads Anthropic", () => {
    expect(
      roles({
        system: [{ type: "text", text: "You are" }],
        messages: [
          { role: "user", content: "hi" },
          {
            role: "assistant",
            content: [
              { type: "thinking", thinking: "hm" },
              { type: "tool_use", id: "t", name: "f", input: { a: 1 } },
            ],
          },
          {
            role: "user",
            content: [{ type: "tool_result", tool_use_id: "t", content: [{ type: "text", text: "r" }] }],
          },
        ],
      }),
    ).toEqual([
      ["system", "text"],
      ["user", "text"],
      ["assistant", "reasoning", "tool_call"],
      ["user", "tool_result"],
    ]);
  });
  it("reads gen_ai parts", () => {
    expect(
      roles([
        { role: "user", parts: [{ type: "text", content: "Weather?" }] },
        {
          role: "assistant",
          parts: [{ type: "tool_call", id: "1", name: "w", arguments: { c: "Paris" } }],
          finish_reason: "tool_call",
        },
        { role: "tool", parts: [{ type: "tool_call_response", id: "1", response: "rainy" }] },
      ]),
    ).toEqual([
      ["user", "text"],
      ["assistant", "tool_call"],
      ["tool", "tool_result"],
    ]);
  });
  it("reads OpenInference, nested and flattened", () => {
    expect(roles([{ message: { role: "user", content: "x" } }])).toEqual([["user", "text"]]);
    expect(
      roles({
        "llm.input_messages.1.message.role": "assistant",
        "llm.input_messages.1.message.tool_calls.0.tool_call.function.name": "f",
        "llm.input_messages.1.message.tool_calls.0.tool_call.function.arguments": "{}",
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.contents.0.message_content.type": "text",
        "llm.input_messages.0.message.contents.0.message_content.text": "q",
      }),
    ).toEqual([
      ["user", "text"],
      ["assistant", "tool_call"],
    ]);
  });
  it("reads Gemini, Vercel and LangChain", () => {
    expect(
      roles({
        contents: [
          { role: "user", parts: [{ text: "q" }] },
          { role: "model", parts: [{ functionCall: { name: "f", args: {} } }] },
        ],
      }),
    ).toEqual([
      ["user", "text"],
      ["assistant", "tool_call"],
    ]);
    expect(
      roles([{ role: "assistant", content: [{ type: "tool-call", toolCallId: "1", toolName: "f", args: {} }] }]),
    ).toEqual([["assistant", "tool_call"]]);
    expect(
      roles([
        [
          { type: "human", content: "q" },
          { lc: 1, type: "constructor", id: ["langchain", "AIMessage"], kwargs: { content: "a" } },
        ],
      ]),
    ).toEqual([
      ["user", "text"],
      ["assistant", "text"],
    ]);
  });
  it("reads doubly encoded text and leaves other data alone", () => {
    expect(roles('[{"role":"user","content":"q"}]')).toEqual([["user", "text"]]);
    for (const other of [
      "just text",
      3,
      null,
      { a: 1 },
      [1, 2],
      [],
      { messages: [] },
      { prompt: "Hello world" },
      [{ role: "user" }],
    ]) {
      expect(readChat(other, "input")).toBeNull();
    }
  });
  it("keeps unknown parts and refuses prototype keys", () => {
    expect(readChat([{ role: "user", content: [{ type: "hologram", x: 1 }] }], "input")?.messages[0]?.parts).toEqual([
      { type: "json", value: { type: "hologram", x: 1 } },
    ]);
    readChat(
      { "llm.input_messages.0.message.__proto__.polluted": "yes", "llm.input_messages.0.message.content": "a" },
      "input",
    );
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});
