// The rows of a run: how many, a chart where one fits, and a table that sorts.

import { busy, button, el } from "./elements.js";
import { chartFigure, chartOf } from "./chart.js";
import { cellText, columnsRead, compare } from "./values.js";

const PORTION = 200;

/** `download` fetches the rows as a file. */
export function resultView(result, download) {
  const buttons = el("div", { class: "buttons" });
  const view = el("div", { class: "rows" }, el("div", { class: "rows-head" }, el("h3", { tabindex: "-1" }, rowsTold(result)), buttons));
  if (result.truncated) {
    view.append(el("p", { class: "note" }, "There is more than is shown here: the result was cut at this database's limit. Ask for sums, or narrow the question."));
  }
  const chart = chartOf(result);
  if (chart) {
    const figure = chartFigure(chart);
    const toggle = button("Hide chart", () => {
      figure.hidden = !figure.hidden;
      toggle.textContent = figure.hidden ? "Show chart" : "Hide chart";
    }, { class: "quiet" });
    buttons.append(toggle);
    view.append(figure);
  }
  if (result.rows.length) {
    buttons.append(button("Download CSV", (event) => busy(event.currentTarget, download), { class: "quiet" }));
    view.append(table(result));
  } else {
    view.append(el("p", { class: "muted" }, "The query ran and found nothing."));
  }
  return view;
}

export function rowsTold(result) {
  const count = result.row_count === 1 ? "1 row" : `${result.row_count.toLocaleString("en")} rows`;
  return `${count} in ${result.elapsed_ms.toLocaleString("en")} ms`;
}

function table(result) {
  const columns = columnsRead(result);
  const body = el("tbody");
  const more = el("p", { class: "more-rows" });
  let rows = result.rows;
  let shown = 0;
  const draw = (count) => {
    const added = rows.slice(shown, count).map((row) => el("tr", {}, ...columns.map((column) => cell(row[column.place], column))));
    body.append(...added);
    shown = Math.min(count, rows.length);
    const rest = rows.length - shown;
    more.replaceChildren(...(rest ? [button(`Show ${Math.min(rest, PORTION)} more of ${rest.toLocaleString("en")}`, () => draw(shown + PORTION), { class: "quiet" })] : []));
  };
  const heads = columns.map((column) => el("th", { scope: "col", class: column.kind }));
  const sort = (column, head) => {
    const direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const each of heads) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", direction > 0 ? "ascending" : "descending");
    rows = [...result.rows].sort((one, other) => compare(one[column.place], other[column.place], column.kind, direction));
    const before = shown;
    shown = 0;
    body.replaceChildren();
    draw(before);
  };
  heads.forEach((head, place) => {
    head.append(button(columns[place].name, () => sort(columns[place], head), { title: columns[place].type || null }));
  });
  draw(PORTION);
  const whole = el("table", {}, el("thead", {}, el("tr", {}, ...heads)), body);
  return el("div", {}, el("div", { class: "table-frame", tabindex: "0", role: "region", "aria-label": "Rows" }, whole), more);
}

function cell(value, column) {
  if (value === null) return el("td", { class: `${column.kind} null` }, "null");
  return el("td", { class: column.kind }, cellText(value));
}
