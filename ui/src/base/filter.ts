/**
 * The filter text of trace lists, as `twinlens/query/text_filter.py` reads it:
 *
 *     status:error model:gpt-4o,"claude sonnet" latency>2s -user:bob (tag:a OR tag:b) "refund policy"
 *
 * The server is the judge of what a filter means. Here it is only read far enough to let menus and chips edit it in place
 * and to complete what is being typed; whatever a person wrote around such an edit stays as it was.
 */

export interface Term {
  /** Lower case, without the key. */
  readonly field: string;
  /** The part behind the first dot: `score.quality` → `quality`. */
  readonly key: string | null;
  readonly op: string;
  readonly values: readonly string[];
  readonly not: boolean;
  /** Where it stands in the text. */
  readonly start: number;
  readonly end: number;
}

interface Token {
  readonly kind: "word" | "string" | "op" | "(" | ")" | "," | "open";
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

const LEXER = /\s+|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|!=|>=|<=|[:=<>~]|[(),]|[^\s"'(),:=<>~!]+|!|["']/gy;

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  for (const found of text.matchAll(LEXER)) {
    const body = found[0];
    const start = found.index;
    const end = start + body.length;
    const c = body[0] ?? "";
    if (/\s/.test(c)) continue;
    if (c === '"' || c === "'") {
      if (body.length === 1) {
        tokens.push({ kind: "open", text: text.slice(start), start, end: text.length });
        break;
      }
      tokens.push({ kind: "string", text: body.slice(1, -1).replace(/\\(.)/gs, "$1"), start, end });
    } else if (c === "(" || c === ")" || c === ",") tokens.push({ kind: c, text: body, start, end });
    else if (/^(!=|>=|<=|[:=<>~])$/.test(body)) tokens.push({ kind: "op", text: body, start, end });
    else tokens.push({ kind: "word", text: body, start, end });
  }
  return tokens;
}

/** The comparisons that must all hold (those not inside parentheses), and whether alternatives stand beside them. */
export function topTerms(text: string): { readonly terms: readonly Term[]; readonly alternatives: boolean } {
  const tokens = tokenize(text);
  const terms: Term[] = [];
  let alternatives = false;
  let depth = 0;
  let at = 0;
  while (at < tokens.length) {
    const token = tokens[at];
    if (!token) break;
    if (token.kind === "(") depth += 1;
    else if (token.kind === ")") depth = Math.max(0, depth - 1);
    const op = tokens[at + 1];
    if (depth > 0 || token.kind !== "word") {
      at += 1;
      continue;
    }
    if (token.text === "OR") alternatives = true;
    if (op?.kind !== "op" || op.start !== token.end) {
      at += 1;
      continue;
    }
    const not = token.text.startsWith("-");
    const name = not ? token.text.slice(1) : token.text;
    const dot = name.indexOf(".");
    const values: string[] = [];
    let end = op.end;
    at += 2;
    for (;;) {
      const first = tokens[at];
      if (first?.kind !== "word" && first?.kind !== "string") break;
      let value = first.text;
      end = first.end;
      at += 1;
      // A bare value runs on over operators that touch it (times, URLs), as on the server.
      for (
        let next = tokens[at];
        first.kind === "word" && next && (next.kind === "op" || next.kind === "word") && next.start === end;
        next = tokens[at]
      ) {
        value += next.text;
        end = next.end;
        at += 1;
      }
      values.push(value);
      if (tokens[at]?.kind !== ",") break;
      at += 1;
    }
    if (values.length > 0) {
      terms.push({
        field: (dot > 0 ? name.slice(0, dot) : name).toLowerCase(),
        key: dot > 0 ? name.slice(dot + 1) : null,
        op: op.text === "=" ? ":" : op.text,
        values,
        not,
        start: token.start,
        end,
      });
    }
  }
  return { terms, alternatives };
}

/** A value as it must be written; quotes where a bare word would mean something else. */
export function quoteValue(text: string): string {
  return text === "" || /[\s"'(),:=<>~!*\\]/.test(text) || text.startsWith("-") || /^(AND|OR|NOT)$/.test(text)
    ? `"${text.replace(/["\\]/g, "\\$&")}"`
    : text;
}

export function writeTerm(term: Pick<Term, "field" | "key" | "op" | "values" | "not">): string {
  const name = term.key === null ? term.field : `${term.field}.${term.key}`;
  return `${term.not ? "-" : ""}${name}${term.op}${term.values.map(quoteValue).join(",")}`;
}

function splice(text: string, start: number, end: number, piece: string): string {
  return `${text.slice(0, start).trimEnd()} ${piece} ${text.slice(end).trimStart()}`.replace(/^\s+|\s+$/g, "");
}

/** Let one more condition hold. */
export function addTerm(text: string, piece: string): string {
  const clean = text.trim();
  if (clean === "") return piece;
  return topTerms(clean).alternatives ? `(${clean}) ${piece}` : `${clean} ${piece}`;
}

/** Add or take away one value of a `field:` condition, as facet menus and chips do. */
export function toggleValue(text: string, field: string, key: string | null, value: string, not = false): string {
  const { terms, alternatives } = topTerms(text);
  const found = alternatives
    ? undefined
    : terms.find((t) => t.field === field && t.key === key && t.op === ":" && t.not === not);
  if (!found) return addTerm(text, writeTerm({ field, key, op: ":", values: [value], not }));
  const values = found.values.includes(value) ? found.values.filter((v) => v !== value) : [...found.values, value];
  return splice(text, found.start, found.end, values.length === 0 ? "" : writeTerm({ ...found, values })).replace(
    / {2,}/g,
    " ",
  );
}

/** Values a menu shows as picked. */
export function pickedValues(text: string, field: string, key: string | null = null): ReadonlySet<string> {
  const { terms, alternatives } = topTerms(text);
  if (alternatives) return new Set();
  return new Set(
    terms.filter((t) => t.field === field && t.key === key && t.op === ":" && !t.not).flatMap((t) => t.values),
  );
}

/** Put one condition in the place of all of a field (or take them away, with null): sliders, brushes. */
export function setField(text: string, field: string, piece: string | null): string {
  const { terms, alternatives } = topTerms(text);
  let rest = text;
  if (!alternatives) {
    for (const term of [...terms].reverse()) {
      if (term.field === field && term.key === null)
        rest = splice(rest, term.start, term.end, "").replace(/ {2,}/g, " ");
    }
  }
  return piece === null ? rest : addTerm(rest, piece);
}

export interface Completion {
  readonly kind: "field" | "value";
  /** For values: whose. */
  readonly field: string;
  readonly prefix: string;
  /** What a choice replaces. */
  readonly start: number;
  readonly end: number;
}

/** What is being typed at the cursor: the name of a field, or a value of one. */
export function completionAt(text: string, cursor: number): Completion {
  const before = text.slice(0, cursor);
  const tokens = tokenize(before);
  const last = tokens[tokens.length - 1];
  const none: Completion = { kind: "field", field: "", prefix: "", start: cursor, end: cursor };
  if (!last || last.end < cursor) return none;
  let at = tokens.length - 1;
  let start = cursor;
  let prefix = "";
  if (last.kind === "word" || last.kind === "open" || last.kind === "string") {
    start = last.start;
    prefix = last.kind === "open" ? last.text.slice(1) : last.text;
    at -= 1;
  }
  // Walk back over `a,b,` to the operator and the field.
  while (
    at > 0 &&
    tokens[at]?.kind === "," &&
    tokens[at]?.end === (at + 1 < tokens.length ? tokens[at + 1]?.start : cursor)
  ) {
    at -= 1;
    if (tokens[at]?.kind === "word" || tokens[at]?.kind === "string") at -= 1;
  }
  const op = tokens[at];
  const name = tokens[at - 1];
  if (op?.kind === "op" && name?.kind === "word" && name.end === op.start) {
    const field = name.text.replace(/^-/, "");
    return { kind: "value", field, prefix, start, end: cursor };
  }
  if (last.kind === "word") {
    const minus = last.text.startsWith("-") ? 1 : 0;
    return { kind: "field", field: "", prefix: prefix.slice(minus), start: start + minus, end: cursor };
  }
  return none;
}
