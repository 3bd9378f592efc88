// How far the worker is with the tables, looked at until it is done.

import { el } from "./elements.js";
import { Problem, send, signIn } from "./requests.js";

const PAUSE = 1000;

const place = document.getElementById("reading");
const trouble = document.getElementById("trouble");

/** What is there is left alone while nothing has changed, so that it is not read out again. */
async function look() {
  const response = await send("reading/state", { method: "GET", accept: "*/*" });
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html").body.firstElementChild;
  if (fresh.dataset.state !== place.firstElementChild.dataset.state) place.replaceChildren(document.adoptNode(fresh));
  trouble.replaceChildren();
}

async function follow() {
  try {
    await look();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const said = `${error.title}. ${error.message}`;
    if (trouble.firstChild?.textContent !== said) trouble.replaceChildren(said);
    if (error.status === 401) return trouble.replaceChildren(said, " ", el("a", { href: signIn }, "Sign in"));
    if (!error.mayPass) return undefined;
  }
  return wait();
}

function wait() {
  if ("underWay" in place.firstElementChild.dataset) setTimeout(follow, PAUSE);
}

wait();
