// Whom a visitor believes: keys of the log, or a whole policy (C2SP tlog-policy) with witnesses and a quorum.
// The same rules as core/note.py, core/cosignature.py and core/policy.py.

import { NotProved, decoded, hex, same, sha256, utf8 } from "./checking.js";

const LOG = { mark: 1, what: "verifier key", use: "an Ed25519 key" };
const WITNESS = { mark: 4, what: "witness's key", use: "a key for Ed25519 cosignatures" };
const POLICY = /^[ \t]*(log|witness|group|quorum)[ \t]/m;
const NONE = "none";
const LARGEST = 256 * 1024;

/**
 * Reads a policy, or keys of the log, a line each.
 * @param {string} text the log's keys as `<name>+<id>+<base64>`, or what /ledger/v1/policy answers
 * @returns logs, witnesses ({ name, key }), groups and quorum; throws NotProved at the stage key
 */
export async function readTrust(text) {
  if (text.length > LARGEST) throw new NotProved("key", "the keys are too long");
  const trust = { logs: [], witnesses: [], groups: new Map(), quorum: null, inGroups: new Set() };
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  if (POLICY.test(text)) {
    for (const [place, line] of lines.entries()) {
      const words = line.split(/[ \t]+/);
      if (line !== "" && !line.startsWith("#")) await take(trust, words, `line ${place + 1} of the policy`);
    }
    if (trust.quorum === null) throw new NotProved("key", "the policy has no line quorum");
    return trust;
  }
  const keys = lines.filter((line) => line !== "");
  for (const key of keys.length > 0 ? keys : [text]) trust.logs.push(await readKey(key, LOG));
  return { ...trust, quorum: NONE };
}

/** Whether the quorum asks for witnesses at all. */
export function wantsWitnesses(trust) {
  return trust.quorum !== NONE;
}

/** Whether cosignatures by these witnesses (their names in the policy) reach the quorum. */
export function reached(trust, names) {
  const witnessed = (name) => {
    const group = trust.groups.get(name);
    if (group === undefined) return names.has(name);
    return group.members.filter(witnessed).length >= group.threshold;
  };
  return !wantsWitnesses(trust) || witnessed(trust.quorum);
}

async function take(trust, words, where) {
  const refuse = (why) => {
    throw new NotProved("key", `${where}: ${why}`);
  };
  const named = (name) => trust.groups.has(name) || trust.witnesses.some((one) => one.name === name);
  const [word, name, ...rest] = words;
  if (word === "log" && name && rest.length <= 1) {
    const key = await readKey(name, LOG, where);
    if (trust.logs.some((one) => same(one.material, key.material))) refuse("this log's key is there already");
    trust.logs.push(key);
  } else if (word === "witness" && (rest.length === 1 || rest.length === 2)) {
    if (name === NONE || named(name)) refuse(`the name ${name} is taken`);
    const key = await readKey(rest[0], WITNESS, where);
    const known = trust.witnesses.some((one) => same(one.key.material, key.material));
    if (known) refuse("this witness's key is there already");
    trust.witnesses.push({ name, key });
  } else if (word === "group" && rest.length >= 2) {
    const [threshold, ...members] = rest;
    if (name === NONE || named(name)) refuse(`the name ${name} is taken`);
    const unknown = members.find((one) => !named(one));
    if (unknown !== undefined) refuse(`nothing before it is named ${unknown}`);
    const doubled = new Set(members).size < members.length || members.some((one) => trust.inGroups.has(one));
    if (doubled) refuse("a member counts once, in one group");
    const needed = numberOf(threshold, members.length);
    if (needed < 1 || needed > members.length) refuse("a group needs all, any or so many of its members");
    for (const one of members) trust.inGroups.add(one);
    trust.groups.set(name, { threshold: needed, members });
  } else if (word === "quorum" && name && rest.length === 0) {
    if (trust.quorum !== null) refuse("there is a quorum already");
    if (name !== NONE && !named(name)) refuse(`nothing before it is named ${name}`);
    trust.quorum = name;
  } else {
    refuse("it is none of log, witness, group and quorum as they are written");
  }
}

function numberOf(threshold, members) {
  if (threshold === "all") return members;
  if (threshold === "any") return 1;
  return /^[0-9]+$/.test(threshold) ? Number(threshold) : 0;
}

async function readKey(text, { mark, what, use }, where = null) {
  const refuse = (why) => {
    throw new NotProved("key", where === null ? why : `${where}: ${why}`);
  };
  const [name, id, ...rest] = text.split("+");
  const encoded = rest.join("+");
  if (!name || !id || !encoded || /\s/.test(name)) refuse(`a ${what} is written <name>+<id>+<base64>`);
  const material = decoded(encoded, what, "key");
  if (material[0] !== mark || material.length !== 33) refuse(`the ${what} is not ${use}`);
  // C2SP signed-note: the first four bytes of SHA-256(name || newline || kind || key).
  const keyId = (await sha256(utf8.encode(`${name}\n`), material)).slice(0, 4);
  if (hex(keyId) !== id) refuse(`the ${what}'s id does not belong to its name and key`);
  try {
    const usable = await crypto.subtle.importKey("raw", material.slice(1), "Ed25519", false, ["verify"]);
    return { name, id, keyId, material, usable };
  } catch {
    throw new NotProved("browser", "this browser cannot verify Ed25519 signatures");
  }
}
