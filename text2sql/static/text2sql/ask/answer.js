// One question and what becomes of it: the way while it goes, the SQL, its rows, and what is thought of it.

import { busy, button, el, fresh } from "./elements.js";
import { Editor } from "./editor.js";
import { Opinion } from "./opinion.js";
import { findingText, problemNote } from "./problems.js";
import { Problem, send } from "./requests.js";
import { resultView, rowsTold } from "./results.js";
import { layOut, paint } from "./sql.js";
import { shortNumber } from "./values.js";

const KINDS = { first: "Asking Claude", retry: "Asking Claude again", repair: "Mending the SQL" };

export class Answer {
  /** `page` offers say(text), ask(question, parent) and save(question). */
  constructor(page, question) {
    this.page = page;
    this.question = question;
    const title = fresh("question");
    this.progress = el("p", { class: "progress", hidden: true });
    this.steps = el("ol");
    this.way = el("details", { class: "way", hidden: true }, el("summary", {}, "How this came about"), this.steps);
    this.code = el("code");
    this.sqlBlock = el("pre", { class: "sql", hidden: true, tabindex: "0", role: "region", "aria-label": "SQL" }, this.code);
    this.body = el("div");
    this.meta = el("p", { class: "muted meta", hidden: true });
    this.actions = el("div");
    const save = button("Save", (event) => busy(event.currentTarget, () => page.save(question, event.target)), { class: "quiet save", title: "Keep this question at hand" });
    this.element = el("article", { class: "answer", tabindex: "-1", "aria-labelledby": title },
      el("header", {}, el("h2", { id: title }, question), save), this.progress, this.sqlBlock, this.body, this.meta, this.way, this.actions);
    this.written = "";
  }

  begin() {
    this.progress.hidden = false;
    this.doing("Looking for the answer");
  }

  doing(text) {
    this.progress.textContent = `${text}…`;
    this.page.say(text);
  }

  step(...words) {
    this.way.hidden = false;
    this.steps.append(el("li", {}, ...words));
  }

  /** One event of the stream; the last ones are `result` and `problem`. */
  told({ name, data }) {
    if (name === "context") this.context(data);
    else if (name === "attempt") this.attempt(data);
    else if (name === "sql") this.write(data.delta);
    else if (name === "finding") this.finding(data);
    else if (name === "result") this.show(data);
    else if (name === "problem") this.fail(new Problem(data));
  }

  context(data) {
    const tables = data.tables.length > 12 ? `${data.tables.slice(0, 12).join(", ")} and ${data.tables.length - 12} more` : data.tables.join(", ");
    this.step("Tables shown to Claude: ", el("span", { class: "name" }, tables || "none"), data.reason ? el("span", { class: "muted" }, ` (${data.reason})`) : "");
    for (const example of data.examples) this.step("Verified question like it: ", el("q", {}, example));
    this.doing(data.tables.length === 1 ? "Read 1 table" : `Read ${data.tables.length} tables`);
  }

  attempt(data) {
    this.step(`${KINDS[data.kind] || "Asking Claude"}: `, el("span", { class: "name" }, data.model));
    this.written = "";
    this.doing(KINDS[data.kind] || "Asking Claude");
  }

  write(delta) {
    if (!this.written) this.doing("Writing SQL");
    this.written += delta;
    this.sqlBlock.hidden = false;
    paint(this.code, this.written);
  }

  finding(data) {
    this.step("The check found: ", findingText(data));
    this.doing("The check found something; mending it");
  }

  fail(problem) {
    this.progress.hidden = true;
    this.sqlBlock.hidden = true;
    if (problem.told.generation_id) this.step(`Question ${problem.told.generation_id}`);
    this.body.replaceChildren(problemNote(problem, () => this.page.ask(this.question)));
    this.page.say(`${problem.title}. ${problem.message}`);
  }

  stop() {
    this.progress.hidden = true;
    this.body.replaceChildren(el("p", { class: "note" }, "You stopped waiting. The answer is finished all the same and will be in your history."));
  }

  /** An answer as the server stores it: of now, or of long ago. */
  show(document) {
    this.progress.hidden = true;
    this.id = document.id;
    this.sqlBlock.hidden = !document.sql;
    const sql = layOut(document.sql);
    paint(this.code, sql);
    if (document.status === "failed") return this.fail(new Problem(document.problem));
    if (document.status === "queued" || document.status === "running") {
      return this.body.replaceChildren(el("p", { class: "note" }, "This question is still being answered; reload the page in a moment."));
    }
    this.body.replaceChildren();
    if (document.status === "cannot_answer") this.body.append(el("p", {}, el("strong", {}, "This cannot be answered here.")));
    if (document.explanation) this.body.append(el("p", { class: "explanation" }, document.explanation));
    if (document.choices.length) this.body.append(this.choices(document));
    this.opinion = new Opinion(document.id, { corrected: document.sql ? () => this.editor.edited : null, say: this.page.say });
    if (sql) this.withSql(sql);
    else this.actions.append(el("div", { class: "buttons" }, this.opinion.buttons), this.opinion.element);
    this.meta.textContent = metaOf(document);
    this.meta.hidden = false;
    return undefined;
  }

  choices(document) {
    const answers = document.choices.map((choice) => button(choice, () => this.page.ask(choice, document.id)));
    return el("div", { class: "buttons choices", role: "group", "aria-label": "Possible answers" }, ...answers);
  }

  withSql(sql) {
    this.result = el("section", { class: "result", "aria-label": "Result", hidden: true });
    this.editor = new Editor(sql, () => this.run());
    this.running = button("Run", () => busy(this.running, () => this.run()), { class: "primary run" });
    const edit = button("Edit SQL", () => this.edit(edit), { "aria-expanded": "false" });
    const copy = button("Copy", () => this.copy(sql), { class: "quiet" });
    this.sqlBlock.after(this.editor.element);
    this.actions.append(el("div", { class: "buttons" }, this.running, edit, copy, this.opinion.buttons), this.opinion.element, this.result);
  }

  edit(pressed) {
    const opens = !this.editor.isOpen;
    this.editor.element.hidden = !opens;
    this.sqlBlock.hidden = opens;
    this.running.hidden = opens;
    pressed.setAttribute("aria-expanded", String(opens));
    pressed.textContent = opens ? "Close editor" : "Edit SQL";
    if (opens) this.editor.area.focus();
  }

  async copy(sql) {
    try {
      await navigator.clipboard.writeText(this.editor.edited || sql);
      this.page.say("The SQL has been copied.");
    } catch {
      this.page.say("The browser does not allow copying here.");
    }
  }

  async run() {
    const sql = this.editor.edited;
    this.page.say("Running the query");
    this.result.hidden = false;
    this.result.setAttribute("aria-busy", "true");
    try {
      const response = await send(`generations/${this.id}/execute`, { body: { sql } });
      const rows = await response.json();
      this.result.replaceChildren(resultView(rows, () => this.download(sql)));
      this.page.say(rowsTold(rows));
      this.result.querySelector("h3").focus({ preventScroll: true });
      this.result.scrollIntoView({ block: "nearest" });
    } catch (error) {
      this.trouble(error);
    } finally {
      this.result.removeAttribute("aria-busy");
    }
  }

  async download(sql) {
    try {
      const response = await send(`generations/${this.id}/execute`, { body: { sql }, accept: "text/csv" });
      const name = response.headers.get("Content-Disposition").match(/filename="([^"]+)"/)[1];
      const address = URL.createObjectURL(await response.blob());
      el("a", { href: address, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(address), 60_000);
    } catch (error) {
      this.trouble(error);
    }
  }

  trouble(error) {
    if (!(error instanceof Problem)) throw error;
    // To the API it is Claude's SQL that is refused; here a person may have written it.
    if (error.kind === "sql-refused") error.told.title = "This SQL is not allowed";
    this.result.replaceChildren(problemNote(error, () => this.run()));
  }
}

function metaOf(document) {
  const parts = [document.model];
  if (document.rung === "degraded") parts.push("the cheaper model, for the budget's sake");
  if (document.cached) parts.push("known from an earlier question");
  if (document.latency_ms !== null) parts.push(`${shortNumber(document.latency_ms / 1000)} s`);
  parts.push(`$${Number(document.cost_usd).toFixed(4)}`);
  return parts.join(" · ");
}
