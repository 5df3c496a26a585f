import { expect, it } from "vitest";
import { usageClasses } from "./usage";

it("lists classes in reading order, without the total and empty ones", () => {
  expect(
    usageClasses(
      { output: 5, input_cached_tokens: 2, input: 10, total: 17, weird_tokens: 1, output_audio_tokens: 0 },
      { input: 0.1, total: 0.1 },
    ).map((c) => [c.label, c.tokens, c.cost]),
  ).toEqual([
    ["Input", 10, 0.1],
    ["Cached input", 2, null],
    ["Output", 5, null],
    ["weird", 1, null],
  ]);
});
