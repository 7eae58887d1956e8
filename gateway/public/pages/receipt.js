// Checks a receipt with nothing but public keys, in this browser: signature, cosignatures, inclusion, answer.
// The same checks as core/receipt.py, by the same names.

import { Malformed, canonical, readObject, textOf } from "./canonical.js";
import { NotProved, bytesOf, decoded, same, sha256, utf8 } from "./checking.js";
import { openCheckpoint } from "./note.js";

/**
 * Proves a receipt.
 * @param {object} receipt in its public JSON form
 * @param {object} trust whom the visitor believes, as readTrust reads it
 * @param {Uint8Array[]} candidates what the answer's bytes may be; none leaves the answer unchecked
 * @returns what is proved: entry, index, answerProved, and the checkpoint as openCheckpoint opens it
 */
export async function prove(receipt, trust, candidates = []) {
  const entry = member(receipt, "entry", "object");
  const index = wholeNumber(receipt, "index");
  if (member(receipt, "id", "string") !== entry.id) {
    throw new NotProved("form", "the receipt's id is not its entry's id");
  }
  const checkpoint = await openCheckpoint(member(receipt, "checkpoint", "string"), trust);
  const { size, root } = checkpoint;
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
  return { ...checkpoint, entry, index, answerProved: candidates.length > 0 };
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
