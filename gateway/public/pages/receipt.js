// Checks a receipt with nothing but the ledger's public key, in this browser: signature, inclusion, answer.
// The same checks as core/receipt.py, by the same names.

import { Malformed, canonical, readObject, textOf } from "./canonical.js";

const LARGEST_NOTE = 1 << 20;
const MOST_SIGNATURES = 100;
const utf8 = new TextEncoder();

/** What was to be proved is not. `stage` is form, key, browser, signature, inclusion or answer. */
export class NotProved extends Error {
  constructor(stage, message) {
    super(message);
    this.stage = stage;
  }
}

/**
 * Proves a receipt.
 * @param {object} receipt in its public JSON form
 * @param {string} keyText the ledger's verifier key, `<name>+<id>+<base64>`
 * @param {Uint8Array[]} candidates what the answer's bytes may be; none leaves the answer unchecked
 * @returns what is proved: entry, index, size, origin, answerProved, otherSigners
 */
export async function prove(receipt, keyText, candidates = []) {
  const key = await readKey(keyText);
  const entry = member(receipt, "entry", "object");
  const index = wholeNumber(receipt, "index");
  if (member(receipt, "id", "string") !== entry.id) {
    throw new NotProved("form", "the receipt's id is not its entry's id");
  }
  const note = member(receipt, "checkpoint", "string");
  const { text, otherSigners } = await openNote(note, key);
  const { origin, size, root } = readCheckpoint(text);
  if (origin !== key.name) {
    throw new NotProved("signature", `the checkpoint is of ${origin}, the key of ${key.name}`);
  }
  if (wholeNumber(receipt, "tree_size") !== size) {
    throw new NotProved("inclusion", "the receipt's tree_size is not the checkpoint's size");
  }
  const leaf = await sha256(Uint8Array.of(0), utf8.encode(written(entry)));
  const hashes = member(receipt, "hashes", "object");
  if (!Array.isArray(hashes) || !hashes.every((one) => typeof one === "string")) {
    throw new NotProved("form", "the receipt's hashes are not a list of texts");
  }
  await proveInclusion(leaf, index, size, hashes.map((one) => decoded(one, "proof hash")), root);
  if (candidates.length > 0) await proveAnswer(receipt, entry, candidates);
  return { entry, index, size, origin, answerProved: candidates.length > 0, otherSigners };
}

/** The bytes that an entry commits to for a JSON answer: its RFC 8785 form without its receipt. */
export function answerBytes(answer) {
  const { receipt: _, ...rest } = answer;
  return utf8.encode(written(rest));
}

/** Receipt and answer (or null) of what somebody has: a receipt, a whole answer, or the Receipt header. */
export function partsOf(text) {
  let json = text.trim();
  if (!json.startsWith("{")) {
    const standard = json.replaceAll("-", "+").replaceAll("_", "/").replace(/=+$/, "");
    const padded = standard + "=".repeat((4 - (standard.length % 4)) % 4);
    try {
      json = textOf(bytesOf(atob(padded)));
    } catch {
      throw new NotProved("form", "neither JSON nor base64url of it");
    }
  }
  const document = parsed(json);
  if (!("receipt" in document)) return { receipt: document, answer: null };
  return { receipt: member(document, "receipt", "object"), answer: answerBytes(document) };
}

/** What the bytes of an answer or a file may be committed to as. */
export function candidatesOf(bytes) {
  try {
    return [answerBytes(readObject(textOf(bytes))), bytes];
  } catch (error) {
    if (error instanceof Malformed || error instanceof RangeError) return [bytes];
    throw error;
  }
}

async function readKey(text) {
  const parts = text.trim().split("+");
  const [name, id] = parts;
  const encoded = parts.slice(2).join("+");
  if (!name || !id || !encoded || /\s/.test(name)) {
    throw new NotProved("key", "a verifier key is written <name>+<id>+<base64>");
  }
  const material = decoded(encoded, "verifier key", "key");
  if (material[0] !== 1 || material.length !== 33) {
    throw new NotProved("key", "the verifier key is not an Ed25519 key");
  }
  // C2SP signed-note: the first four bytes of SHA-256(name || newline || 0x01 || key).
  const keyId = (await sha256(utf8.encode(`${name}\n`), material)).slice(0, 4);
  if (hex(keyId) !== id) {
    throw new NotProved("key", "the verifier key's id does not belong to its name and key");
  }
  try {
    const usable = await crypto.subtle.importKey("raw", material.slice(1), "Ed25519", false, ["verify"]);
    return { name, keyId, usable };
  } catch {
    throw new NotProved("browser", "this browser cannot verify Ed25519 signatures");
  }
}

async function openNote(note, key) {
  if (note.length > LARGEST_NOTE || /[\u0000-\u0009\u000b-\u001f]/.test(note)) {
    throw new NotProved("form", "the checkpoint is too long or has control characters");
  }
  const at = note.lastIndexOf("\n\n");
  if (at < 1 || !note.endsWith("\n")) {
    throw new NotProved("form", "the checkpoint is not a text, an empty line and signature lines");
  }
  const text = note.slice(0, at + 1);
  const lines = note.slice(at + 2, -1).split("\n");
  if (lines.length > MOST_SIGNATURES) throw new NotProved("form", "the checkpoint has too many signatures");
  const otherSigners = [];
  let signed = false;
  for (const line of lines) {
    const [dash, name, blob, ...more] = line.split(" ");
    if (dash !== "—" || !name || !blob || more.length > 0) {
      throw new NotProved("form", "a signature line of the checkpoint is malformed");
    }
    const bytes = decoded(blob, "signature");
    if (bytes.length < 5) throw new NotProved("form", "a signature of the checkpoint is too short");
    if (name !== key.name || !same(bytes.slice(0, 4), key.keyId)) {
      otherSigners.push(name); // Witnesses, or a key that is being rotated in: nothing is claimed of them.
      continue;
    }
    if (!(await crypto.subtle.verify("Ed25519", key.usable, bytes.slice(4), utf8.encode(text)))) {
      throw new NotProved("signature", `the signature of ${name} is wrong`);
    }
    signed = true;
  }
  if (!signed) throw new NotProved("signature", `no signature of ${key.name} by the given key`);
  return { text, otherSigners };
}

function readCheckpoint(text) {
  const lines = text.split("\n");
  const end = lines.pop();
  if (lines.length < 3 || end !== "" || lines.some((line) => line === "")) {
    throw new NotProved("form", "a checkpoint has three lines: origin, size, root");
  }
  const [origin, size, encodedRoot] = lines;
  if (!/^(0|[1-9][0-9]*)$/.test(size) || !Number.isSafeInteger(Number(size))) {
    throw new NotProved("form", "the checkpoint's size is not a decimal number");
  }
  const root = decoded(encodedRoot, "checkpoint's root");
  if (root.length !== 32) throw new NotProved("form", "the checkpoint's root is not a SHA-256 hash");
  return { origin, size: Number(size), root };
}

// RFC 9162 section 2.1.3.2. Sizes may be larger than 32 bits, so no bit operators on them.
async function proveInclusion(leaf, index, size, hashes, root) {
  const fail = (message) => {
    throw new NotProved("inclusion", message);
  };
  if (index >= size) fail(`leaf ${index} cannot be in a tree of ${size}`);
  if (hashes.some((one) => one.length !== 32)) fail("a hash of the proof is not 32 bytes long");
  const node = (left, right) => sha256(Uint8Array.of(1), left, right);
  const half = (number) => Math.floor(number / 2);
  let [place, last, seen] = [index, size - 1, leaf];
  for (const sibling of hashes) {
    if (last === 0) fail("the inclusion proof is longer than the tree is high");
    if (place % 2 === 1 || place === last) {
      seen = await node(sibling, seen);
      while (place % 2 === 0 && place !== 0) [place, last] = [half(place), half(last)];
    } else {
      seen = await node(seen, sibling);
    }
    [place, last] = [half(place), half(last)];
  }
  if (last !== 0) fail("the inclusion proof is shorter than the tree is high");
  if (!same(seen, root)) fail("the inclusion proof does not lead from this entry to the checkpoint's root");
}

async function proveAnswer(receipt, entry, candidates) {
  const given = entry.commitments?.answer;
  if (typeof given !== "string") throw new NotProved("answer", "the entry commits to no answer");
  const expected = decoded(given, "answer commitment");
  const salt = decoded(member(receipt, "answer_salt", "string"), "answer_salt");
  if (salt.length !== 32) throw new NotProved("answer", "the receipt has no salt that opens the commitment");
  const key = await crypto.subtle.importKey("raw", salt, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  for (const bytes of candidates) {
    if (same(new Uint8Array(await crypto.subtle.sign("HMAC", key, bytes)), expected)) return;
  }
  throw new NotProved("answer", "the answer is not the one that the entry commits to");
}

function member(document, name, kind) {
  const value = Object.hasOwn(document, name) ? document[name] : undefined;
  if (value === null || typeof value !== kind) {
    throw new NotProved("form", `${name} is missing, or is not of its type`);
  }
  return value;
}

function wholeNumber(document, name) {
  const value = member(document, name, "number");
  if (!Number.isSafeInteger(value) || value < 0) {
    throw new NotProved("form", `${name} is not a whole number from 0`);
  }
  return value;
}

function parsed(text) {
  try {
    return readObject(text);
  } catch (error) {
    throw new NotProved("form", error.message);
  }
}

function written(value) {
  try {
    return canonical(value);
  } catch {
    throw new NotProved("form", "there is no canonical JSON form");
  }
}

function decoded(text, what, stage = "form") {
  let bytes;
  try {
    bytes = bytesOf(atob(text));
  } catch {
    throw new NotProved(stage, `the ${what} is not base64`);
  }
  const again = btoa(Array.from(bytes, (one) => String.fromCharCode(one)).join(""));
  if (again !== text) throw new NotProved(stage, `the ${what} is not canonical base64`);
  return bytes;
}

function bytesOf(binary) {
  return Uint8Array.from(binary, (one) => one.charCodeAt(0));
}

async function sha256(...pieces) {
  const whole = new Uint8Array(await new Blob(pieces).arrayBuffer());
  return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
}

function same(left, right) {
  return left.length === right.length && left.every((one, place) => one === right[place]);
}

function hex(bytes) {
  return Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
}
