// types.mjs ANSWERS TYPESCRIPT DECLARATIONS: compares each answer with the declared type of its method and prints the outcome as JSON.
// A null in place of an optional value is fine: Langfuse itself answers so.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [answers, typescript, declarations] = process.argv.slice(2);
const ts = createRequire(import.meta.url)(typescript);
const options = { strict: true, skipLibCheck: true, target: 9, module: 99, moduleResolution: 100, types: [] };
const program = ts.createProgram([declarations], options);
const checker = program.getTypeChecker();
const source = program.getSourceFile(declarations);
const { TypeFlags: F, SymbolFlags: S } = ts;

function compare(value, type, path, out) {
  if (type.flags & (F.Any | F.Unknown)) return;
  if (type.isUnion()) {
    const tries = type.types.map((one) => {
      const found = [];
      compare(value, one, path, found);
      return found;
    });
    out.push(...tries.sort((a, b) => a.length - b.length)[0]);
    return;
  }
  const wrong = (wanted) => out.push(`${path}: ${JSON.stringify(value)?.slice(0, 80)} is no ${wanted}`);
  const is = (fits, wanted) => fits || wrong(wanted);
  if (type.flags & F.Null) return is(value === null, "null");
  if (type.flags & (F.Undefined | F.Void)) return is(value === undefined || value === null, "undefined");
  if (type.flags & (F.StringLiteral | F.NumberLiteral)) return is(value === type.value, JSON.stringify(type.value));
  if (type.flags & F.BooleanLiteral) return is(String(value) === checker.typeToString(type), "boolean");
  if (type.flags & F.String) return is(typeof value === "string", "string");
  if (type.flags & F.Number) return is(typeof value === "number", "number");
  if (type.flags & F.Boolean) return is(typeof value === "boolean", "boolean");
  if (checker.isArrayType(type)) {
    if (!Array.isArray(value)) return wrong("array");
    return value.forEach((one) => compare(one, checker.getTypeArguments(type)[0], `${path}[]`, out));
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) return wrong(checker.typeToString(type));
  const known = new Set();
  for (const property of checker.getPropertiesOfType(type)) {
    known.add(property.name);
    const wanted = checker.getTypeOfSymbolAtLocation(property, source);
    const given = value[property.name];
    if (given !== undefined) compare(given, wanted, `${path}.${property.name}`, out);
    else if (!(property.flags & S.Optional)) out.push(`${path}.${property.name} is missing`);
  }
  const rest = checker.getIndexTypeOfType(type, ts.IndexKind.String);
  if (rest) for (const key of Object.keys(value)) if (!known.has(key)) compare(value[key], rest, `${path}.${key}`, out);
}

const methods = new Map();
function collect(type, prefix) {
  for (const property of checker.getPropertiesOfType(type)) {
    if (property.name.startsWith("_")) continue;
    const found = checker.getTypeOfSymbolAtLocation(property, source);
    const [signature] = found.getCallSignatures();
    if (signature) methods.set(prefix + property.name, checker.getReturnTypeOfSignature(signature));
    else collect(found, `${prefix}${property.name}.`);
  }
}
let client = checker.getExportsOfModule(checker.getSymbolAtLocation(source)).find((one) => one.name === "LangfuseAPIClient");
if (client.flags & S.Alias) client = checker.getAliasedSymbol(client);
collect(checker.getDeclaredTypeOfSymbol(client), "");

const problems = new Set();
const called = new Set();
for (const { m, value, status, error } of JSON.parse(readFileSync(answers, "utf8"))) {
  if (error !== undefined) {
    problems.add(`${m}: ${status} ${JSON.stringify(error)}`);
    continue;
  }
  called.add(m);
  const answer = methods.get(m);
  const found = [];
  compare(value, (answer.aliasTypeArguments ?? checker.getTypeArguments(answer))[0], m, found);
  for (const one of found) problems.add(one);
}
console.log(JSON.stringify({ methods: called.size, problems: [...problems], uncalled: [...methods.keys()].filter((m) => !called.has(m)) }));
