// The page on which a signed-in person sees who used her data, and verifies each receipt in her browser.

import { partsOf, prove } from "./receipt.js";
import { readTrust } from "./trust.js";
import { made, offerLanguages, said, show } from "./words.js";

const PAGE_SIZE = 20;
const OUTCOMES = {
  released: ["已提供", "released"],
  completed: ["已办结", "completed"],
  aborted: ["未办理，未提供任何数据", "not done; nothing was released"],
  under_way: ["正在办理", "under way"],
};

const at = (id) => document.getElementById(id);

let nextPage = "";

offerLanguages();
at("stretch").addEventListener("submit", (event) => {
  event.preventDefault();
  at("uses").replaceChildren();
  nextPage = "";
  load();
});
at("more").addEventListener("click", load);
load();

async function load() {
  at("more").hidden = true;
  at("told").replaceChildren();
  try {
    const answer = await fetch(`/citizen/v1/disclosures?${query()}`, { credentials: "same-origin" });
    const signedIn = answer.status !== 401;
    at("sign-in").hidden = signedIn;
    at("stretch").hidden = at("sign-out").hidden = !signedIn;
    if (!signedIn) return;
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.detail ?? answer.statusText);
    at("uses").append(...body.disclosures.map(itemOf));
    nextPage = body.next_page_token;
    at("more").hidden = nextPage === "";
    if (!at("uses").hasChildNodes()) at("told").append(made("p", said("没有记录。", "There is no record.")));
  } catch (error) {
    const why = made("p", said("暂时无法查询，请稍后再试。", "This cannot be shown now. Try again later."));
    at("told").replaceChildren(why, made("p", error.message));
    at("told").className = "verdict bad";
    return;
  }
  at("told").className = "";
}

function query() {
  const asked = new URLSearchParams({ page_size: PAGE_SIZE });
  if (nextPage) asked.set("page_token", nextPage);
  if (at("since").value) asked.set("since", new Date(`${at("since").value}T00:00`).toISOString());
  if (at("until").value) {
    const end = new Date(`${at("until").value}T00:00`);
    end.setDate(end.getDate() + 1); // The day that was chosen is still in.
    asked.set("until", end.toISOString());
  }
  if (at("own").checked) asked.set("own_reads", "true");
  return asked;
}

function itemOf(use) {
  const item = made("li", made("h2", said(use.method_name, use.method_name_en)));
  item.dataset.receipt = use.receipt_id;
  const time = made("time", new Date(use.recorded_at).toLocaleString());
  time.dateTime = use.recorded_at;
  item.append(made("p", time, " · ", said(...(OUTCOMES[use.outcome] ?? [use.outcome, use.outcome]))));
  item.append(made("p", ...whoOf(use)), made("p", ...groundOf(use)));
  if (use.field_names.length > 0) {
    const names = use.field_names.map((name, place) => made("code", said(use.field_titles[place] ?? name, name)));
    item.append(made("p", said("涉及的字段：", "Fields: "), ...names));
  }
  if (use.other_subjects > 0) {
    const others = use.other_subjects;
    const zh = `同一记录还涉及另外 ${others} 方。`;
    item.append(made("p", said(zh, `The same entry is about ${others} more.`)));
  }
  item.append(actionsOf(use));
  return item;
}

function whoOf(use) {
  const caller = said(use.caller_name ?? use.caller, use.caller_name_en ?? use.caller_name ?? use.caller);
  if (use.office === undefined) return [said("使用方：", "By: "), caller];
  const office = use.office_name ?? use.office;
  return [said("使用方：", "By: "), office, " · ", caller];
}

function groundOf(use) {
  const ground = said("依据：", "Ground: ");
  if (use.matter_code !== undefined) {
    const matter = use.matter_name ?? use.matter_code;
    const number = said(`，业务流水号 ${use.case_number}`, `, case ${use.case_number}`);
    return [ground, said(matter, use.matter_name_en ?? matter), number];
  }
  if (use.consent_id !== undefined) {
    return [ground, said("您的授权 ", "your consent "), made("code", use.consent_id)];
  }
  if (use.basis === "holder") return [ground, said("您本人的请求", "your own request")];
  if (use.basis === "agreement") return [ground, said("与本市的协议", "an agreement with the city")];
  return [ground, "—"];
}

function actionsOf(use) {
  const verify = made("button", said("核验回执", "Verify receipt"));
  verify.type = "button";
  verify.className = "quiet verify";
  const keep = made("a", said("下载回执", "Download receipt"));
  keep.href = use.receipt_path;
  keep.download = `receipt-${use.receipt_id}.json`;
  const verdict = made("div");
  verdict.setAttribute("role", "status");
  verify.addEventListener("click", async () => {
    verify.disabled = true;
    try {
      show(verdict, await proveUse(use));
    } catch (error) {
      show(verdict, error);
    } finally {
      verify.disabled = false;
    }
  });
  return made("div", made("p", verify, " ", keep), verdict);
}

// The receipt as it was given first has no cosignatures yet; where the witnesses are asked for, the newer proof has.
async function proveUse(use) {
  const trust = await readTrust(await textAt("/ledger/v1/policy"));
  const proofOf = async (text) => {
    const proved = await prove(partsOf(text).receipt, trust);
    if (proved.entry.id !== use.receipt_id) throw new Error("this is the receipt of another entry");
    return proved;
  };
  const first = await proofOf(await textAt(use.receipt_path));
  if (first.witnessed !== "lacking") return first;
  const answer = await fetched(`${use.receipt_path}?cosigned=true`);
  return answer.ok ? proofOf(await answer.text()) : first;
}

async function textAt(path) {
  const answer = await fetched(path);
  if (!answer.ok) throw new Error((await answer.json()).detail ?? answer.statusText);
  return answer.text();
}

function fetched(path) {
  return fetch(path, { credentials: "same-origin" });
}
