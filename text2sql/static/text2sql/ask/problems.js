// What went wrong, in words, with the way on where there is one.

import { button, el } from "./elements.js";
import { signIn } from "./requests.js";

/** `again` asks or runs once more; offered where that may help. */
export function problemNote(problem, again = null) {
  const words = [el("strong", {}, `${problem.title}. `), problem.message];
  for (const error of problem.told.errors || []) words.push(` ${error.field ? `${error.field}: ` : ""}${error.message}`);
  const resets = problem.status === 402 && problem.told.resets_at;
  if (resets) words.push(` The next period begins on ${new Date(resets).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" })}.`);
  const note = el("div", { class: "note bad", role: "alert" }, el("p", {}, ...words));
  if (problem.status === 401) note.append(el("p", {}, el("a", { class: "button", href: signIn }, "Sign in")));
  else if (again && problem.mayPass) note.append(el("p", {}, againButton(problem, again)));
  return note;
}

/** Not before the server wants to be asked again. */
function againButton(problem, again) {
  const pressed = button("Try again", again);
  let left = Math.min(problem.retryAfter || 0, 120);
  const tick = () => {
    pressed.disabled = left > 0;
    pressed.textContent = left > 0 ? `Try again in ${left} s` : "Try again";
    left -= 1;
    if (left >= 0) setTimeout(tick, 1000);
  };
  tick();
  return pressed;
}

/** The names that may have been meant follow, unless the message tells them already. */
export function findingText({ message, closest }) {
  return closest.every((name) => message.includes(name)) ? message : `${message} Closest names: ${closest.join(", ")}.`;
}
