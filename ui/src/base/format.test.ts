import { describe, expect, it } from "vitest";
import { ago, bytes, compact, duration, integer, listTime, metric, money, percent, shortId } from "./format";

describe("format", () => {
  it("compacts counts", () => {
    expect([0, 7, 999, 1000, 1234, 34_000, 999_499, 999_999, 5_600_000, 2e9].map(compact)).toEqual([
      "0",
      "7",
      "999",
      "1k",
      "1.2k",
      "34k",
      "999k",
      "1M",
      "5.6M",
      "2B",
    ]);
    expect(compact(null)).toBe("–");
  });
  it("shows two significant digits of small money and never calls unknown zero", () => {
    expect([0, 0.0031, 0.000052, 0.12, 12.4, 1234.5].map(money)).toEqual([
      "$0.00",
      "$0.0031",
      "$0.000052",
      "$0.12",
      "$12.40",
      "$1,235",
    ]);
    expect(money(undefined)).toBe("–");
    expect(money(1e-9)).toBe("<$0.000001");
  });
  it("writes durations", () => {
    expect([0, 0.42, 5.5, 320, 1240, 59_999, 125_000, 11_520_000, 187_200_000].map(duration)).toEqual([
      "0ms",
      "0.42ms",
      "5.5ms",
      "320ms",
      "1.24s",
      "1m 00s",
      "2m 05s",
      "3h 12m",
      "2d 4h",
    ]);
  });
  it("writes metric values", () => {
    expect([0, 1, 0.123456789, 12345.678, 1e-7, 3e9, Number.NaN, Number.POSITIVE_INFINITY].map(metric)).toEqual([
      "0",
      "1",
      "0.12346",
      "12,345.68",
      "1e-7",
      "3e9",
      "NaN",
      "∞",
    ]);
  });
  it("writes the rest", () => {
    expect(integer(1234567)).toBe("1,234,567");
    expect(percent(0.0345)).toBe("3.5%");
    expect(bytes(1536)).toBe("1.5 KB");
    expect(bytes(12)).toBe("12 B");
    expect(shortId("abcdef0123456789")).toBe("abcdef01");
  });
  it("tells how long ago", () => {
    const now = new Date(2026, 10, 23, 14, 5, 9).getTime();
    expect(ago(now, now)).toBe("now");
    expect(ago(now - 12_000, now)).toBe("12s ago");
    expect(ago(now - 3 * 3_600_000, now)).toBe("3h ago");
    expect(listTime(now, now)).toBe("14:05:09");
    expect(listTime(now - 2 * 86_400_000, now)).toBe("Nov 21 14:05");
  });
});
