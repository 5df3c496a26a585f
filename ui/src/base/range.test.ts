import { describe, expect, it } from "vitest";
import { bounds, bucketSeconds, parseRange, writeRange } from "./range";

describe("range", () => {
  it("reads what people type", () => {
    expect(parseRange("25m")).toEqual({ kind: "relative", text: "25m", ms: 1_500_000 });
    expect(parseRange("last 2 hours")).toEqual({ kind: "relative", text: "2h", ms: 7_200_000 });
    expect(parseRange("last hour")).toEqual({ kind: "relative", text: "1h", ms: 3_600_000 });
    expect(parseRange("3 days")).toEqual({ kind: "relative", text: "3d", ms: 259_200_000 });
    expect(parseRange("all")).toEqual({ kind: "all" });
    for (const bad of ["", "soon", "0m", "hour", "1x", "a~b"]) expect(parseRange(bad)).toBeNull();
  });
  it("keeps absolute ranges absolute", () => {
    const range = parseRange("2026-11-23T10:00:00.000Z~2026-11-23T11:00:00.000Z");
    expect(range?.kind).toBe("absolute");
    if (range) {
      expect(writeRange(range)).toBe("2026-11-23T10:00:00.000Z~2026-11-23T11:00:00.000Z");
      expect(bounds(range, 0).from).toBe(Date.UTC(2026, 10, 23, 10));
    }
  });
  it("resolves relative ranges against now", () => {
    expect(bounds({ kind: "relative", text: "1h", ms: 3_600_000 }, 10_000_000)).toEqual({ from: 6_400_000, to: null });
  });
  it("picks round buckets", () => {
    expect(bucketSeconds(3_600_000)).toBe(60);
    expect(bucketSeconds(86_400_000)).toBe(1_800);
    expect(bucketSeconds(30 * 86_400_000)).toBe(43_200);
  });
});
