// Strict JSON, and its RFC 8785 form: the bytes that a leaf and an answer are hashed as.

export class Malformed extends Error {}

const TOKEN = /[\s]*(?:([{}[\],:])|("(?:[^"\\]|\\.)*")|([^\s{}[\],:"]+))/y;
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** Bytes as UTF-8 text. Throws Malformed. */
export function textOf(bytes) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Malformed("not UTF-8");
  }
}

/** A JSON object without doubled names and without numbers that are not exact. Throws Malformed. */
export function readObject(text) {
  let value;
  try {
    value = JSON.parse(text);
  } catch {
    throw new Malformed("not JSON");
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new Malformed("not a JSON object");
  }
  refuseAmbiguous(text);
  return value;
}

// JSON.parse keeps the last of two members with one name, and rounds large numbers. The text is JSON here.
function refuseAmbiguous(text) {
  const open = [];
  let name = null;
  TOKEN.lastIndex = 0;
  for (let match; (match = TOKEN.exec(text)) !== null; ) {
    const [, mark, string, plain] = match;
    if (mark === "{") open.push(new Set());
    else if (mark === "[") open.push(null);
    else if (mark === "}" || mark === "]") open.pop();
    else if (mark === ":" && name !== null) {
      const names = open[open.length - 1];
      if (names.has(name)) throw new Malformed("names a member twice");
      names.add(name);
    }
    name = string === undefined ? null : JSON.parse(string);
    if (plain !== undefined && /^-?[0-9]+$/.test(plain) && !Number.isSafeInteger(Number(plain))) {
      throw new Malformed("a whole number is beyond 2**53");
    }
  }
}

/** The RFC 8785 form of a JSON value, as text. Throws Malformed where there is none. */
export function canonical(value) {
  if (typeof value === "string") {
    if (LONE_SURROGATE.test(value)) throw new Malformed("a text is not Unicode");
    return JSON.stringify(value);
  }
  if (typeof value === "number" && !Number.isFinite(value)) throw new Malformed("a number is too large");
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  // Array.prototype.sort compares UTF-16 code units, as RFC 8785 section 3.2.3 wants it.
  const members = Object.keys(value)
    .sort()
    .map((name) => `${canonical(name)}:${canonical(value[name])}`);
  return `{${members.join(",")}}`;
}
