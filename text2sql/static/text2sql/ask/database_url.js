// The form of a new database: the URL can be looked at while it is typed, and trying it out takes a while.

import { button } from "./elements.js";

const form = document.getElementById("add");
const url = form.elements.url;
const submit = form.querySelector("button.primary");

const show = button("Show", () => {
  const hidden = url.type === "password";
  url.type = hidden ? "text" : "password";
  show.textContent = hidden ? "Hide" : "Show";
  url.focus();
}, { class: "show", "aria-label": "Show or hide the URL", "aria-controls": url.id });
url.after(show);
url.parentElement.classList.add("with-show");

form.addEventListener("submit", (event) => {
  if (submit.getAttribute("aria-busy") === "true") return event.preventDefault();
  url.type = "password";
  submit.setAttribute("aria-busy", "true");
  document.getElementById("status").textContent = "Connecting to the database. This takes ten seconds at most …";
  return undefined;
});
