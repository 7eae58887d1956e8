// Signed notes, checkpoints and cosignatures of witnesses (C2SP signed-note, tlog-checkpoint, tlog-cosignature).
// The same checks as core/note.py and core/cosignature.py.

import { NotProved, decoded, same, utf8 } from "./checking.js";
import { reached, wantsWitnesses } from "./trust.js";

const LARGEST_NOTE = 1 << 20;
const MOST_SIGNATURES = 100;
const ID_LENGTH = 4;
const TIME_LENGTH = 8;
const LATEST = (1n << 63n) - 1n;

/**
 * Opens a checkpoint that a log of `trust` signed. Every signature by one of its keys must be right.
 * @returns origin, size, root; signedBy (keys), cosigned ({ name, key, seconds }), witnessed (reached, lacking, or
 * unasked where the quorum wants none), otherSigners (names of which nothing is claimed)
 */
export async function openCheckpoint(note, trust) {
  const { text, signatures } = split(note);
  const checkpoint = readCheckpoint(text);
  const keys = trust.logs.filter((key) => key.name === checkpoint.origin);
  if (keys.length === 0) {
    const given = trust.logs.map((key) => key.name).join(", ") || "no log";
    throw new NotProved("signature", `the checkpoint is of ${checkpoint.origin}, the key of ${given}`);
  }
  const signedBy = [];
  const cosigned = new Map();
  const otherSigners = [];
  for (const { name, keyId, blob } of signatures) {
    const belongs = (key) => key.name === name && same(key.keyId, keyId);
    const key = keys.find(belongs);
    const witness = trust.witnesses.find((one) => belongs(one.key));
    if (key !== undefined) {
      await check(key, blob, text, "signature");
      signedBy.push(key);
    } else if (witness !== undefined) {
      const seconds = await timeOf(witness.key, blob, text);
      if (seconds > (cosigned.get(witness)?.seconds ?? 0)) cosigned.set(witness, { ...witness, seconds });
    } else {
      otherSigners.push(name); // A witness, or a key, that the visitor does not know: nothing is claimed of it.
    }
  }
  if (signedBy.length === 0) {
    throw new NotProved("signature", `no signature of ${checkpoint.origin} by the given key`);
  }
  const names = new Set([...cosigned.keys()].map((one) => one.name));
  let witnessed = "unasked";
  if (wantsWitnesses(trust)) witnessed = reached(trust, names) ? "reached" : "lacking";
  return { ...checkpoint, signedBy, cosigned: [...cosigned.values()], witnessed, otherSigners };
}

function split(note) {
  if (note.length > LARGEST_NOTE || /[\u0000-\u0009\u000b-\u001f]/.test(note)) {
    throw new NotProved("form", "the checkpoint is too long or has control characters");
  }
  const at = note.lastIndexOf("\n\n");
  if (at < 1 || !note.endsWith("\n")) {
    throw new NotProved("form", "the checkpoint is not a text, an empty line and signature lines");
  }
  const lines = note.slice(at + 2, -1).split("\n");
  if (lines.length > MOST_SIGNATURES) throw new NotProved("form", "the checkpoint has too many signatures");
  const signatures = lines.map((line) => {
    const [dash, name, encoded, ...more] = line.split(" ");
    if (dash !== "—" || !name || !encoded || more.length > 0) {
      throw new NotProved("form", "a signature line of the checkpoint is malformed");
    }
    const bytes = decoded(encoded, "signature");
    if (bytes.length <= ID_LENGTH) throw new NotProved("form", "a signature of the checkpoint is too short");
    return { name, keyId: bytes.slice(0, ID_LENGTH), blob: bytes.slice(ID_LENGTH) };
  });
  return { text: note.slice(0, at + 1), signatures };
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

async function check(key, signature, signed, stage) {
  if (!(await crypto.subtle.verify("Ed25519", key.usable, signature, utf8.encode(signed)))) {
    const what = stage === "witness" ? "cosignature" : "signature";
    throw new NotProved(stage, `the ${what} of ${key.name} is wrong`);
  }
}

// tlog-cosignature: eight bytes of POSIX seconds, then the signature over header, time and the note's text.
async function timeOf(key, blob, text) {
  if (blob.length <= TIME_LENGTH) throw new NotProved("witness", `the cosignature of ${key.name} has no time`);
  const seconds = new DataView(blob.buffer, blob.byteOffset).getBigUint64(0);
  if (seconds === 0n || seconds > LATEST) {
    throw new NotProved("witness", `the cosignature of ${key.name} has no time`);
  }
  await check(key, blob.slice(TIME_LENGTH), `cosignature/v1\ntime ${seconds}\n${text}`, "witness");
  return Number(seconds);
}
