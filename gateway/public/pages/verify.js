// The page that checks a receipt: reads what the visitor gives, and shows the verdict. Nothing is sent.

import { textOf } from "./canonical.js";
import { NotProved } from "./checking.js";
import { candidatesOf, partsOf, prove } from "./receipt.js";
import { readTrust } from "./trust.js";
import { cosignatureOf, made, offerLanguages, said, show } from "./words.js";

const at = (id) => document.getElementById(id);

offerLanguages();
offerKeys();
at("form").addEventListener("submit", (event) => {
  event.preventDefault();
  verify();
});
at("receipt-file").addEventListener("change", async () => {
  const [file] = at("receipt-file").files;
  if (file === undefined) return;
  try {
    at("receipt").value = textOf(new Uint8Array(await file.arrayBuffer()));
  } catch (error) {
    show(at("verdict"), new NotProved("form", error.message));
  }
});

/** The keys and witnesses of this very site, unless the visitor has entered some meanwhile. */
async function offerKeys() {
  try {
    const answer = await fetch("/ledger/v1/policy");
    const policy = await answer.text();
    if (answer.ok && !at("key").value) at("key").value = policy.trimEnd();
  } catch {
    // The visitor can still enter them.
  }
}

async function verify() {
  at("verify").disabled = true;
  at("entry").hidden = true;
  try {
    const { receipt, answer } = partsOf(at("receipt").value);
    const [file] = at("answer-file").files;
    const given = answer === null ? [] : [answer];
    const candidates = file === undefined ? given : candidatesOf(new Uint8Array(await file.arrayBuffer()));
    const proved = await prove(receipt, await readTrust(at("key").value), candidates);
    show(at("verdict"), proved);
    showEntry(proved);
  } catch (error) {
    show(at("verdict"), error);
  } finally {
    at("verify").disabled = false;
  }
}

function showEntry({ entry, index, size, origin, signedBy, cosigned, otherSigners }) {
  const rows = [
    [said("时间", "Time"), entry.time],
    [said("方法", "Method"), `${entry.method} (${entry.kind}${entry.outcome ? `, ${entry.outcome}` : ""})`],
    [said("调用方", "Caller"), entry.caller],
    [said("办理机构", "Office"), entry.office],
    [said("依据", "Basis"), entry.basis && Object.values(entry.basis).join(" · ")],
    [said("字段", "Fields"), (entry.field_names ?? []).join(", ")],
    [said("编号", "Id"), entry.id],
    [said("日志", "Log"), `${origin} · ${index} / ${size}`],
    [said("签名公钥", "Signed with"), signedBy.map((key) => `${key.name}+${key.id}`).join(", ")],
    [said("见证方会签", "Cosigned by"), cosigned.map(cosignatureOf).join(", ")],
    [said("其他签名（未核验）", "Further signatures (not checked)"), otherSigners.join(", ")],
  ];
  const shown = rows.filter(([, value]) => value);
  at("entry").replaceChildren(...shown.flatMap(([name, value]) => [made("dt", name), made("dd", String(value))]));
  at("entry").hidden = false;
}
