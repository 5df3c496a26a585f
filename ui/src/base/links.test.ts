import { describe, expect, it } from "vitest";
import { canonicalTraceId, readHash } from "./links";

describe("readHash", () => {
  it("reads what MLflow clients print", () => {
    expect(readHash("#/experiments/3")).toEqual({ to: "experiment", experimentId: "3" });
    expect(readHash("#/experiments/3/runs/abc")).toEqual({ to: "run", experimentId: "3", runId: "abc" });
    expect(readHash("#/experiments/3/runs/abc/artifacts/model")).toEqual({
      to: "run",
      experimentId: "3",
      runId: "abc",
    });
    const id = "0123456789abcdef0123456789abcdef";
    expect(readHash(`#/experiments/3/traces?selectedEvaluationId=tr-${id}`)).toEqual({ to: "trace", traceId: id });
    expect(readHash("#/models/my%20model/versions/2")).toEqual({ to: "model", name: "my model" });
    expect(readHash("#section")).toBeNull();
    expect(readHash("")).toBeNull();
  });
  it("canonicalises ids", () => {
    expect(canonicalTraceId("tr-0123456789ABCDEF0123456789abcdef")).toBe("0123456789abcdef0123456789abcdef");
    expect(canonicalTraceId("tr-free")).toBe("tr-free");
  });
});
