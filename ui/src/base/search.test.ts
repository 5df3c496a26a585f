import { describe, expect, it } from "vitest";
import { parseSearch, writeSearch } from "./search";

describe("search", () => {
  it("round-trips awkward text", () => {
    for (const q of ["status:error", 'name:"a & b=c" tag:x,y', "cost>0.01", "ünï/çødé #1 100%+", "<b>"]) {
      expect(parseSearch(writeSearch({ q })).q).toBe(q);
    }
  });
  it("stays readable and leaves empties out", () => {
    expect(writeSearch({ q: "status:error", range: "24h", sort: "", peek: undefined })).toBe(
      "?q=status:error&range=24h",
    );
    expect(writeSearch({})).toBe("");
  });
});
