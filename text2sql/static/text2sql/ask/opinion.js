// Thumbs: a click says it, and more may be added.

import { busy, button, el, fresh, svg } from "./elements.js";
import { problemNote } from "./problems.js";
import { Problem, send } from "./requests.js";

const THUMB = "M7 21H4.5A1.5 1.5 0 0 1 3 19.5V12.5A1.5 1.5 0 0 1 4.5 11H7m0 10V11m0 10h9.7a2.5 2.5 0 0 0 2.45-2l1.3-6.5A2 2 0 0 0 18.5 10H14V5.5A2.5 2.5 0 0 0 11.5 3L7 11";

export class Opinion {
  /** `corrected` tells the SQL as the person has edited it, if so. */
  constructor(id, { corrected, say }) {
    this.path = `generations/${id}/feedback`;
    this.corrected = corrected;
    this.say = say;
    this.rating = null;
    this.thumbs = {
      up: this.thumb("up", "The answer is right"),
      down: this.thumb("down", "The answer is wrong"),
    };
    this.buttons = el("span", { class: "thumbs" }, this.thumbs.up, this.thumbs.down);
    this.element = el("form", { class: "opinion", hidden: true, onsubmit: (event) => this.tell(event) });
  }

  thumb(rating, label) {
    const press = (event) => busy(event.currentTarget, () => this.rate(rating));
    const pressed = button("", press, { class: `quiet thumb ${rating}`, "aria-label": label, "aria-pressed": "false", title: label });
    pressed.append(svg("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, svg("path", { d: THUMB })));
    return pressed;
  }

  async rate(rating) {
    this.rating = rating;
    if (await this.send({ rating })) this.open();
  }

  open() {
    const down = this.rating === "down";
    const [comment, sql] = [fresh("comment"), fresh("corrected")];
    const parts = [
      el("p", {}, el("strong", {}, "Thank you. "), down ? "A lead of your team looks at it." : "It helps others to the same answer."),
      el("label", { for: comment }, down ? "What is wrong? (optional)" : "Anything to add? (optional)"),
      el("textarea", { id: comment, name: "comment", rows: 2, maxlength: "2000" }),
    ];
    if (down && this.corrected !== null) {
      const area = el("textarea", { id: sql, name: "corrected_sql", rows: 4, maxlength: "20000", spellcheck: "false", class: "code" });
      area.value = this.corrected();
      parts.push(el("label", { for: sql }, "The SQL that would be right (optional)"), area);
    }
    const close = button("Close", () => this.close(), { class: "quiet" });
    this.element.replaceChildren(...parts, el("div", { class: "buttons" }, el("button", { class: "primary" }, "Send"), close));
    this.element.hidden = false;
    this.element.querySelector("textarea").focus();
  }

  close() {
    this.element.hidden = true;
    this.thumbs[this.rating].focus();
  }

  async tell(event) {
    event.preventDefault();
    const given = new FormData(this.element);
    const body = { rating: this.rating, comment: given.get("comment"), corrected_sql: given.get("corrected_sql") || "" };
    const pressed = this.element.querySelector("button.primary");
    const told = await busy(pressed, () => this.send(body));
    if (!told) return;
    this.close();
    const wrong = (told.findings || [])[0];
    if (wrong) {
      this.element.replaceChildren(el("p", { class: "note bad", role: "alert" }, `Sent. Your SQL would not run, though: ${wrong.message}`));
      this.element.hidden = false;
    }
  }

  /** What was stored, or null where that failed. */
  async send(body) {
    try {
      const response = await send(this.path, { body });
      for (const [rating, thumb] of Object.entries(this.thumbs)) thumb.setAttribute("aria-pressed", String(rating === body.rating));
      this.say("Your rating has been saved.");
      return await response.json();
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.element.replaceChildren(problemNote(error));
      this.element.hidden = false;
      return null;
    }
  }
}
