// What all checks share: how they fail, and bytes, base64 and hashes.

export const utf8 = new TextEncoder();

/** What was to be proved is not. `stage` is form, key, browser, signature, witness, inclusion or answer. */
export class NotProved extends Error {
  constructor(stage, message) {
    super(message);
    this.stage = stage;
  }
}

/** The bytes of strict, canonical base64. Throws NotProved at `stage`, naming `what` it was to be. */
export function decoded(text, what, stage = "form") {
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

/** The bytes of a string whose characters are bytes. */
export function bytesOf(binary) {
  return Uint8Array.from(binary, (one) => one.charCodeAt(0));
}

/** SHA-256 of the pieces, one behind the other. */
export async function sha256(...pieces) {
  const whole = new Uint8Array(await new Blob(pieces).arrayBuffer());
  return new Uint8Array(await crypto.subtle.digest("SHA-256", whole));
}

/** Whether two runs of bytes are the same. */
export function same(left, right) {
  return left.length === right.length && left.every((one, place) => one === right[place]);
}

/** Lower-case hexadecimal. */
export function hex(bytes) {
  return Array.from(bytes, (one) => one.toString(16).padStart(2, "0")).join("");
}
