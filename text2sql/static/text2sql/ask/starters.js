// The first questions: lines come and go; without scripts a line is emptied, and empty ones are there to fill in.

import { button } from "./elements.js";

const form = document.getElementById("starters");
const list = form.querySelector("ol");
const most = Number(form.dataset.most);
const boxes = () => [...list.querySelectorAll("textarea")];
const more = button("Add a question", add);

const blank = list.lastElementChild.cloneNode(true);
blank.firstElementChild.textContent = "";
blank.firstElementChild.removeAttribute("autofocus");

function equip(line) {
  line.append(button("×", () => remove(line), { class: "quiet remove" }));
  // A question is one line, and Enter sends it, as in the box to ask.
  line.firstElementChild.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
}

function remove(line) {
  const at = [...list.children].indexOf(line);
  line.remove();
  number();
  const left = boxes();
  (left[Math.min(at, left.length - 1)] || more).focus();
  document.getElementById("status").textContent = `Removed. ${left.length} left.`;
}

function add() {
  const line = blank.cloneNode(true);
  equip(line);
  list.append(line);
  number();
  line.firstElementChild.focus();
}

function number() {
  for (const [at, box] of boxes().entries()) {
    box.setAttribute("aria-label", `Question ${at + 1}`);
    box.nextElementSibling.setAttribute("aria-label", `Remove question ${at + 1}`);
  }
  more.hidden = boxes().length >= most;
}

for (const box of boxes()) {
  if (box.value) equip(box.parentElement);
  else box.parentElement.remove();
}
list.after(more);
number();
