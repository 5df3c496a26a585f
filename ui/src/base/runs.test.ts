import { describe, expect, it } from "vitest";
import {
  defaultColumns,
  groupKeys,
  nestRuns,
  PARENT_TAG,
  quoteKey,
  type RunLike,
  readColumns,
  writeColumns,
} from "./runs";

const run = (run_id: string, parent?: string): RunLike => ({ run_id, tags: parent ? { [PARENT_TAG]: parent } : {} });
const flat = (list: ReturnType<typeof nestRuns>) => list.map((n) => [n.run.run_id, n.depth, n.children]);

describe("nestRuns", () => {
  it("puts children below their parents and folds them away", () => {
    const runs = [run("c2", "p"), run("x"), run("p"), run("c1", "p"), run("g", "c1"), run("o", "elsewhere")];
    expect(flat(nestRuns(runs, new Set()))).toEqual([
      ["x", 0, 0],
      ["p", 0, 2],
      ["c2", 1, 0],
      ["c1", 1, 1],
      ["g", 2, 0],
      ["o", 0, 0],
    ]);
    expect(flat(nestRuns(runs, new Set(["p"]))).map((r) => r[0])).toEqual(["x", "p", "o"]);
  });
  it("survives circles", () => {
    expect(
      nestRuns([run("a", "b"), run("b", "a"), run("s", "s")], new Set())
        .map((n) => n.run.run_id)
        .sort(),
    ).toEqual(["a", "b", "s"]);
  });
});

describe("columns", () => {
  it("round-trips through the URL", () => {
    const ids = ["status", "m:val/loss", "t:a,b", "p:100%"];
    expect(readColumns(writeColumns(ids))).toEqual(ids);
  });
  it("starts with a handful", () => {
    const keys = Array.from({ length: 5_000 }, (_, i) => `m${i}`);
    const columns = defaultColumns(
      [
        { run_id: "a", metrics: { m7: 1 }, params: { lr: "1" } },
        { run_id: "b", metrics: { m7: 2 }, params: { lr: "2" } },
      ],
      [...keys, "system/cpu"],
      ["lr", "seed"],
    );
    expect(columns).toContain("m:m7");
    expect(columns).toContain("p:lr");
    expect(columns).not.toContain("m:system/cpu");
    expect(columns.length).toBeLessThan(15);
  });
  it("quotes keys for MLflow's grammar", () => {
    expect(quoteKey("metrics", "val/loss")).toBe("metrics.`val/loss`");
    expect(quoteKey("params", "lr")).toBe("params.lr");
  });
  it("groups keys by prefix", () => {
    expect(groupKeys(["val/loss", "acc", "train/loss", "val/acc"])).toEqual([
      { name: "", keys: ["acc"] },
      { name: "train", keys: ["train/loss"] },
      { name: "val", keys: ["val/acc", "val/loss"] },
    ]);
  });
});
