import { expect, it } from "vitest";
import { problems } from "./problems";

it("gives a refusal to the first field that it names, else to the form", () => {
  const words = { url: /url|address/i, name: /\bname\b/i };
  expect(problems(new Error("Webhook URL: the host cannot be found"), words)).toEqual({
    url: "Webhook URL: the host cannot be found",
  });
  expect(problems(new Error("name must be given"), words)).toEqual({ name: "name must be given" });
  expect(problems(new Error("The server does not answer."), words)).toEqual({ form: "The server does not answer." });
  expect(problems(null, words)).toEqual({});
});
