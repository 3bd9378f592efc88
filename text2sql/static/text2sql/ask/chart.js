// A simple chart where a date or a category meets a number: lines over time, bars over names.

import { el, fresh, svg } from "./elements.js";
import { cellText, columnsRead, shortNumber } from "./values.js";

const MOST_BARS = 30;
const MOST_POINTS = 1000;
const CALENDAR = /(^|_)year$/i;

/** What could be drawn: {kind, axis, measures, rows}, or null. */
export function chartOf(result) {
  const columns = columnsRead(result);
  const measures = columns.filter((column) => column.measures);
  if (!measures.length || result.rows.length < 2) return null;
  const along = columns.find((column) => column.kind === "date" || (column.kind === "number" && CALENDAR.test(column.name)));
  if (along && isUnique(result.rows, along.place) && result.rows.length <= MOST_POINTS) {
    return { kind: "line", axis: along, measures, rows: result.rows };
  }
  const named = columns.find((column) => column.kind === "text" && isUnique(result.rows, column.place));
  if (!along && named && result.rows.length <= MOST_BARS) {
    return { kind: "bar", axis: named, measures, rows: result.rows };
  }
  return null;
}

function isUnique(rows, place) {
  return new Set(rows.map((row) => row[place])).size === rows.length;
}

/** A figure that draws itself anew when its width changes, with a choice where there are several numbers. */
export function chartFigure(chart) {
  const drawing = el("div", { class: "drawing" });
  const caption = el("figcaption", { class: "muted" });
  let measure = chart.measures[0];
  const draw = () => {
    const points = pointsOf(chart, measure);
    const width = Math.max(drawing.clientWidth, 240);
    const told = summary(chart, measure, points);
    caption.textContent = told;
    drawing.replaceChildren((chart.kind === "line" ? lines : bars)(points, width, told));
  };
  const figure = el("figure", { class: "chart" });
  if (chart.measures.length > 1) {
    const id = fresh("measure");
    const options = chart.measures.map((each, number) => el("option", { value: number }, each.name));
    const choose = (event) => {
      measure = chart.measures[event.target.value];
      draw();
    };
    figure.append(el("p", { class: "measure" }, el("label", { for: id }, "Show"), el("select", { id, onchange: choose }, ...options)));
  }
  figure.append(drawing, caption);
  let seen = 0;
  new ResizeObserver(() => {
    if (drawing.clientWidth && drawing.clientWidth !== seen) {
      seen = drawing.clientWidth;
      draw();
    }
  }).observe(drawing);
  return figure;
}

function pointsOf(chart, measure) {
  const points = chart.rows
    .filter((row) => row[measure.place] !== null && row[chart.axis.place] !== null)
    .map((row) => ({ name: cellText(row[chart.axis.place]), value: Number(row[measure.place]) }));
  if (chart.kind === "line") {
    for (const point of points) point.at = chart.axis.kind === "date" ? Date.parse(point.name.replace(" ", "T")) : Number(point.name);
    points.sort((one, other) => one.at - other.at);
  }
  return points;
}

function summary(chart, measure, points) {
  if (!points.length) return `${measure.name} has no values.`;
  const sorted = [...points].sort((one, other) => other.value - one.value);
  const [most, least] = [sorted[0], sorted.at(-1)];
  const what = chart.kind === "line" ? "over" : "by";
  return `${measure.name} ${what} ${chart.axis.name}: highest ${shortNumber(most.value)} (${most.name}), lowest ${shortNumber(least.value)} (${least.name}).`;
}

function frame(width, height, told, ...children) {
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": told }, ...children);
}

function bars(points, width, told) {
  const step = 28;
  const left = Math.min(Math.round(width * 0.36), 14 + 7 * Math.max(...points.map((point) => point.name.length), 1));
  const low = Math.min(0, ...points.map((point) => point.value));
  const high = Math.max(0, ...points.map((point) => point.value)) || (low ? 0 : 1);
  const right = 64;
  const x = (value) => left + ((value - low) / (high - low)) * (width - left - right);
  const letters = Math.max(3, Math.floor((left - 14) / 7));
  const shapes = points.flatMap((point, number) => {
    const middle = number * step + step / 2;
    const from = Math.min(x(0), x(point.value));
    const label = point.name.length > letters ? `${point.name.slice(0, letters - 1)}…` : point.name;
    return [
      svg("text", { x: left - 8, y: middle, class: "chart-name", "text-anchor": "end" }, label),
      svg("rect", { x: from, y: middle - 9, width: Math.max(Math.abs(x(point.value) - x(0)), 1), height: 18, rx: 3, class: "chart-bar" },
        svg("title", {}, `${point.name}: ${point.value}`)),
      svg("text", { x: Math.max(x(point.value), x(0)) + 6, y: middle, class: "chart-value" }, shortNumber(point.value)),
    ];
  });
  return frame(width, points.length * step, told, ...shapes);
}

function lines(points, width, told) {
  const height = 220;
  const [top, bottom, right] = [12, 26, 14];
  const values = points.map((point) => point.value);
  const ticks = ticksOf(Math.min(0, ...values), Math.max(0, ...values));
  const left = 14 + 7 * Math.max(...ticks.map((tick) => shortNumber(tick).length));
  const [low, high] = [ticks[0], ticks.at(-1)];
  const [begin, end] = [points[0]?.at ?? 0, points.at(-1)?.at ?? 1];
  const x = (at) => left + ((at - begin) / (end - begin || 1)) * (width - left - right);
  const y = (value) => height - bottom - ((value - low) / (high - low || 1)) * (height - top - bottom);
  const grid = ticks.flatMap((tick) => [
    svg("line", { x1: left, x2: width - right, y1: y(tick), y2: y(tick), class: tick === 0 ? "chart-zero" : "chart-grid" }),
    svg("text", { x: left - 8, y: y(tick), class: "chart-value", "text-anchor": "end" }, shortNumber(tick)),
  ]);
  const path = points.map((point, number) => `${number ? "L" : "M"}${x(point.at).toFixed(1)} ${y(point.value).toFixed(1)}`).join("");
  const dots = points.map((point) =>
    svg("circle", { cx: x(point.at), cy: y(point.value), r: points.length > 60 ? 1.5 : 3.5, class: "chart-dot" },
      svg("title", {}, `${point.name}: ${point.value}`)));
  return frame(width, height, told, ...grid, svg("path", { d: path, class: "chart-line" }), ...dots, ...names(points, x, width, height));
}

function names(points, x, width, height) {
  const most = Math.max(2, Math.floor(width / 120));
  const every = Math.max(1, Math.ceil((points.length - 1) / (most - 1)));
  const shown = points.filter((_, number) => number % every === 0);
  return shown.map((point) => {
    const at = x(point.at);
    const anchor = point === points[0] ? "start" : at > width - 60 ? "end" : "middle";
    return svg("text", { x: at, y: height - 8, class: "chart-name chart-day", "text-anchor": anchor }, point.name.slice(0, 10));
  });
}

function ticksOf(low, high) {
  const raw = (high - low || 1) / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((each) => each * power).find((each) => each >= raw);
  const ticks = [];
  for (let tick = Math.floor(low / step) * step; tick < high + step; tick += step) ticks.push(Number(tick.toPrecision(12)));
  return ticks;
}
