// The SQL under a person's hands, looked at while it is written.

import { busy, button, el, fresh } from "./elements.js";
import { findingText, problemNote } from "./problems.js";
import { Problem, send } from "./requests.js";

/** Milliseconds without a key after which the SQL is checked. */
const PAUSE = 900;

export class Editor {
  /** `run` runs what stands here; `sql` is what was answered. */
  constructor(sql, run) {
    this.answered = sql;
    const id = fresh("sql");
    this.area = el("textarea", { id, rows: Math.min(Math.max(sql.split("\n").length + 1, 4), 20), spellcheck: "false", maxlength: "20000", oninput: () => this.changed(), onkeydown: (event) => this.key(event, run) });
    this.area.value = sql;
    this.verdict = el("div", { class: "verdict", role: "status", "aria-live": "polite" });
    const undo = button("Undo changes", () => {
      this.area.value = this.answered;
      this.verdict.replaceChildren();
      this.area.focus();
    }, { class: "quiet" });
    this.checking = button("Check", () => this.check());
    this.running = button("Run", () => busy(this.running, run), { class: "primary" });
    this.element = el("div", { class: "editor", hidden: true },
      el("label", { for: id }, "Edit the SQL"), this.area, this.verdict,
      el("div", { class: "buttons" }, this.running, this.checking, undo));
  }

  get isOpen() {
    return !this.element.hidden;
  }

  get sql() {
    return this.area.value.trim();
  }

  /** What differs from the answer; empty where nothing does. */
  get edited() {
    return this.isOpen && this.sql !== this.answered.trim() ? this.sql : "";
  }

  changed() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.check(), PAUSE);
  }

  key(event, run) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      busy(this.running, run);
    }
  }

  async check() {
    clearTimeout(this.waiting);
    this.asked?.abort();
    if (!this.sql) return;
    const asked = new AbortController();
    this.asked = asked;
    try {
      const response = await send("check", { body: { sql: this.sql }, signal: asked.signal });
      this.show(await response.json());
    } catch (error) {
      if (error instanceof Problem) this.verdict.replaceChildren(problemNote(error));
      else if (error.name !== "AbortError") throw error;
    }
  }

  show(checked) {
    const { ok, refused, finding } = checked;
    const text = ok ? "Checked: this would run." : findingText(finding);
    const lead = ok ? "" : refused ? "Not allowed: " : "It would not run: ";
    this.verdict.replaceChildren(el("p", { class: ok ? "note good" : "note bad" }, el("strong", {}, lead), text));
  }
}
