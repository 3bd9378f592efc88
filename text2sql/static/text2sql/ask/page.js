// The page to ask: the question box, the conversation, and what stands beside them.

import { Answer } from "./answer.js";
import { Problem, send } from "./requests.js";
import { historyMark, questionSave, sidesFold, sidesRenew, sidesStart } from "./sides.js";
import { events } from "./stream.js";

const part = (id) => document.getElementById(id);
const [box, composer, submit, conversation, status] = ["question", "composer", "send", "conversation", "status"].map(part);
const session = part("main").dataset.session;
const turns = JSON.parse(part("turns").textContent);

let parent = null;
let asking = null;

const page = {
  say(text) {
    status.textContent = text;
  },
  ask,
  async save(question, pressed) {
    const saved = await questionSave(question);
    pressed.textContent = saved ? "Saved" : "Save";
    page.say(saved ? "The question has been saved." : "The question could not be saved.");
  },
};

/** Put a question into the box; it is asked when the person says so. */
function take(question) {
  box.value = question;
  grow();
  sidesFold();
  box.focus();
}

async function ask(question, follows = parent) {
  if (asking) return;
  asking = new AbortController();
  begin();
  const answer = new Answer(page, question);
  conversation.append(answer.element);
  answer.begin();
  answer.element.scrollIntoView({ block: "start" });
  let last = null;
  try {
    const body = { question, session_id: session, parent_id: follows };
    const response = await send("questions", { body, accept: "text/event-stream", signal: asking.signal });
    for await (const event of events(response)) {
      if (event.name === "result" || event.name === "problem") last = event;
      answer.told(event);
    }
    if (!last) answer.fail(new Problem({ title: "The connection broke off", detail: "The answer is finished all the same and will be in your history." }));
  } catch (error) {
    if (error instanceof Problem) answer.fail(error);
    else if (error.name === "AbortError") answer.stop();
    else answer.fail(new Problem({ title: "The connection broke off", detail: "The answer is finished all the same and will be in your history." }));
  }
  if (last?.name === "result") finished(answer, last.data);
  asking = null;
  end(answer);
}

function finished(answer, document) {
  if (document.status !== "cannot_answer") follow(document.id);
  page.say({ succeeded: "The answer is ready.", clarify: "Claude asks back.", cannot_answer: "This cannot be answered here." }[document.status] || "");
  history.replaceState(null, "", `?session=${encodeURIComponent(session)}`);
}

function follow(id) {
  parent = id;
  part("follows").textContent = "Your next question follows the answer above.";
  box.placeholder = "Ask on";
}

function begin() {
  sidesFold();
  for (const id of ["start", "suggestions"]) if (part(id)) part(id).hidden = true;
  submit.textContent = "Stop";
  submit.classList.remove("primary");
  document.body.classList.add("at-work");
}

/** A person who has typed on is not disturbed; else the answer is what comes next. */
function end(answer) {
  submit.textContent = "Ask";
  submit.classList.add("primary");
  document.body.classList.remove("at-work");
  const elsewhere = ![document.body, box, submit].includes(document.activeElement);
  if (!box.value && !elsewhere) answer.element.focus({ preventScroll: true });
  answer.element.scrollIntoView({ block: "nearest" });
  sidesRenew(session);
}

function grow() {
  box.rows = Math.min(Math.max(box.value.split("\n").length, Math.ceil(box.value.length / 70)), 8) || 1;
}

/** Suggestions in which all the words so far occur; all of them for an empty box. */
function narrow() {
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  const items = [...document.querySelectorAll("#suggestions li")];
  for (const item of items) {
    const text = item.textContent.toLowerCase();
    item.hidden = !words.every((word) => text.includes(word));
  }
  if (part("suggestions")) part("suggestions-title").hidden = items.every((item) => item.hidden);
}

composer.addEventListener("submit", (event) => {
  event.preventDefault();
  if (asking) return asking.abort();
  const question = box.value.trim();
  if (!question) return undefined;
  box.value = "";
  grow();
  return ask(question);
});
box.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  if (!asking) composer.requestSubmit();
});
box.addEventListener("input", () => {
  grow();
  narrow();
});

sidesStart({ take, say: page.say });
historyMark(session);
for (const turn of turns) {
  const answer = new Answer(page, turn.question);
  answer.show(turn);
  conversation.append(answer.element);
  if (turn.status === "succeeded" || turn.status === "clarify") follow(turn.id);
}
if (turns.length) conversation.lastElementChild.scrollIntoView({ block: "start" });
