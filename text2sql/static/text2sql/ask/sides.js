// What stands beside the conversation: tables, saved questions, history, the budget.

import { fill, Problem } from "./requests.js";

const piece = (id) => document.getElementById(id);

/** Fetch the piece anew; where that fails it stays as it is. */
async function renew(id, path, options) {
  try {
    await fill(piece(id), path, options);
    return true;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return false;
  }
}

export async function sidesRenew(session) {
  await Promise.all([renew("history", "history"), renew("budget", "budget")]);
  historyMark(session);
}

export function historyMark(session) {
  for (const link of piece("history").querySelectorAll("a")) {
    if (link.dataset.session === session) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

export function questionSave(question) {
  return renew("saved", "saved", { method: "POST", body: { question } });
}

/** `take` puts a question into the box. */
export function sidesStart({ take, say }) {
  let waiting;
  piece("table-search").addEventListener("input", (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      await renew("tables", `tables?q=${encodeURIComponent(event.target.value)}`);
      say(`${piece("tables").querySelectorAll("details").length} tables found`);
    }, 250);
  });
  piece("saved").addEventListener("click", async (event) => {
    const id = event.target.dataset.remove;
    if (!id) return;
    await renew("saved", `saved/${id}`, { method: "DELETE" });
    say("The saved question has been removed.");
    (piece("saved").querySelector("button") || piece("mine").querySelector("a")).focus();
  });
  document.addEventListener("click", (event) => {
    const chosen = event.target.closest("[data-question]");
    if (chosen) take(chosen.dataset.question);
  });
  for (const opener of document.querySelectorAll("[data-opens]")) {
    opener.addEventListener("click", () => open(opener));
  }
}

/** In a narrow window one side at a time is unfolded above the conversation. */
function open(opener) {
  for (const each of document.querySelectorAll("[data-opens]")) {
    const opens = each === opener && each.getAttribute("aria-expanded") === "false";
    each.setAttribute("aria-expanded", String(opens));
    piece(each.dataset.opens).classList.toggle("open", opens);
    if (opens) piece(each.dataset.opens).focus();
  }
}

export function sidesFold() {
  for (const side of document.querySelectorAll(".side.open")) side.classList.remove("open");
  for (const opener of document.querySelectorAll("[data-opens]")) opener.setAttribute("aria-expanded", "false");
}
