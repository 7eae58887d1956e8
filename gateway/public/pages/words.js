// Both languages stand in the page; its style shows the one that the reader chose.

const SENTENCES = {
  proved: [
    "已证实：这条存证记录在该日志之中，检查点由所给公钥签名。",
    "Proved: this entry is in the log, whose checkpoint is signed with the given key.",
  ],
  answer: [
    "所给的答复（文件）正是这条存证记录所对应的那一份。",
    "The given answer or file is the very one that the entry was written for.",
  ],
  unchecked: [
    "没有提供答复或文件，因此未核对其内容。",
    "No answer or file was given, so none was checked.",
  ],
  lacking: [
    "该检查点尚未有足够的见证方会签：日志对所有人是否相同，本回执尚不能证明。会签通常在数秒内完成，之后可重新取得带会签的回执。",
    "Not enough witnesses have cosigned this checkpoint, so it does not prove yet that the log is the same for everybody. They do within seconds: fetch the receipt again, cosigned.",
  ],
};

const REASONS = {
  form: [
    "回执的格式不正确，无法核验。",
    "The receipt is malformed and cannot be checked.",
  ],
  key: [
    "公钥或信任策略的格式不正确，无法核验。",
    "The key or policy is malformed; nothing can be checked with it.",
  ],
  witness: [
    "未能证实：检查点上以见证方名义所作的会签不是该见证方作出的。",
    "Not proved: a cosignature in a witness's name is not by that witness.",
  ],
  browser: [
    "此浏览器不支持 Ed25519 签名核验，请换用较新的浏览器，或使用命令 onestop verify。",
    "This browser cannot verify Ed25519 signatures. Take a newer one, or the command onestop verify.",
  ],
  signature: [
    "未能证实：检查点不是用所给公钥签名的。公钥不符，或者检查点被改动过。",
    "Not proved: the checkpoint is not signed with the given key. It is another key, or the checkpoint was altered.",
  ],
  inclusion: [
    "未能证实：存证记录不在该检查点的日志之中。记录或者证明被改动过。",
    "Not proved: the entry is not in the log of this checkpoint. The entry or its proof was altered.",
  ],
  answer: [
    "未能证实：所给的答复（文件）不是这条存证记录所对应的那一份。",
    "Not proved: the given answer or file is not the one that the entry was written for.",
  ],
};

const TROUBLE = ["暂时无法核验，请稍后再试。", "It cannot be checked now. Try again later."];

/** The same in Chinese and in English, of which the style shows one. */
export function said(zh, en) {
  const both = document.createDocumentFragment();
  for (const [lang, text] of [["zh-CN", zh], ["en", en]]) {
    const span = document.createElement("span");
    span.lang = lang;
    span.textContent = text;
    both.append(span);
  }
  return both;
}

/** An element with some content. */
export function made(kind, ...content) {
  const element = document.createElement(kind);
  element.append(...content);
  return element;
}

/** Shows what was proved, or why it was not, in `place`. */
export function show(place, outcome) {
  const failed = outcome instanceof Error;
  const lines = failed
    ? [made("p", said(...(REASONS[outcome.stage] ?? TROUBLE))), made("p", outcome.message)]
    : [SENTENCES.proved, answerLine(outcome), ...witnessLines(outcome)].map((one) => made("p", said(...one)));
  if (failed) lines[1].className = "detail";
  place.className = failed ? "verdict bad" : "verdict good";
  place.dataset.verdict = failed ? (outcome.stage ?? "trouble") : "proved";
  place.dataset.witnessed = failed ? "" : outcome.witnessed;
  place.replaceChildren(...lines);
}

/** A cosignature in words: whose, and when it was made. */
export function cosignatureOf({ name, key, seconds }) {
  const at = new Date(seconds * 1000); // Far beyond the calendar there is no date to be shown.
  return `${name} (${key.name}) ${Number.isNaN(at.getTime()) ? seconds : at.toISOString().replace(".000", "")}`;
}

function answerLine(proved) {
  return proved.answerProved ? SENTENCES.answer : SENTENCES.unchecked;
}

function witnessLines({ cosigned, witnessed }) {
  if (witnessed === "lacking") return [SENTENCES.lacking];
  if (cosigned.length === 0) return [];
  const who = cosigned.map(cosignatureOf).join(", ");
  return [[`见证方已会签：${who}。`, `Witnesses cosigned: ${who}.`]];
}

/** Lets the reader choose the language, and remembers it in this browser. */
export function offerLanguages() {
  const root = document.documentElement;
  const kept = localStorage.getItem("lang");
  const choose = (lang) => {
    root.dataset.shown = lang;
    root.lang = lang;
  };
  choose(kept ?? (navigator.language.startsWith("zh") ? "zh-CN" : "en"));
  document.getElementById("language").addEventListener("click", () => {
    choose(root.dataset.shown === "en" ? "zh-CN" : "en");
    localStorage.setItem("lang", root.dataset.shown);
  });
}
