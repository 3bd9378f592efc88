// Talking to the server: JSON there, whatever comes back, and every failure as a Problem in words.

const main = document.getElementById("main");
const base = new URL(main.dataset.base, location.href);

export class Problem extends Error {
  constructor(told, retryAfter = null) {
    super(told.detail || told.title);
    this.told = told;
    this.status = told.status || 0;
    this.kind = (told.type || "").replace("urn:text2sql:problem:", "");
    this.retryAfter = retryAfter;
  }

  get title() {
    return this.told.title;
  }

  /** Whether the same may go better in a while. */
  get mayPass() {
    return this.status === 0 || this.status === 429 || this.status >= 500 || this.kind === "budget-in-flight";
  }
}

export const signIn = main.dataset.signIn;

/** The response; raises Problem, and AbortError where `signal` was used. */
export async function send(path, { method = "POST", body, accept = "application/json", signal } = {}) {
  const headers = { Accept: accept };
  if (method !== "GET") headers["X-CSRFToken"] = csrfToken();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(new URL(path, base), { method, headers, body: body && JSON.stringify(body), signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ title: "The server cannot be reached", detail: "Is the network there? Try again in a moment." });
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** A piece of the page, made by the server, put in place of the element's content. */
export async function fill(element, path, options = { method: "GET" }) {
  const response = await send(path, { accept: "*/*", ...options });
  element.innerHTML = await response.text();
}

async function problemOf(response) {
  const wait = Number(response.headers.get("Retry-After")) || null;
  if ((response.headers.get("Content-Type") || "").startsWith("application/problem+json")) {
    return new Problem(await response.json(), wait);
  }
  const detail = response.status === 403 ? "Reload the page, and try again." : "Try again in a moment.";
  return new Problem({ title: `The server answered ${response.status}`, status: response.status, detail }, wait);
}

// Read anew each time: signing in again in another tab changes it.
function csrfToken() {
  const found = document.cookie.match(/(?:^|; )csrftoken=([^;]+)/);
  return found ? found[1] : document.querySelector("[name=csrfmiddlewaretoken]").value;
}
