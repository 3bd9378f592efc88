// What a result's columns hold, judged by their types and their values.

const NUMERIC = /int|numeric|decimal|number|real|double|float|money|serial/i;
const NUMBER = /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/;
const DAY = /^\d{4}-\d{2}(-\d{2}([T ]\d{2}:\d{2}.*)?)?$/;
const CALENDAR = /(^|_)(year|quarter|month|week|day|hour)s?$/i;
const ID = /(^|_)(id|key|no|number|code|zip|plz)$/i;

/** Columns with their `kind`: number, date, text or other, and whether numbers in them are worth a chart. */
export function columnsRead(result) {
  return result.columns.map((column, place) => {
    const values = result.rows.map((row) => row[place]).filter((value) => value !== null);
    const kind = kindOf(column, values);
    return { ...column, place, kind, measures: kind === "number" && !ID.test(column.name) && !CALENDAR.test(column.name) };
  });
}

function kindOf(column, values) {
  if (!values.length) return "text";
  const numeric = NUMERIC.test(column.type);
  if (values.every((value) => typeof value === "number" || (numeric && typeof value === "string" && NUMBER.test(value)))) {
    return "number";
  }
  if (values.every((value) => typeof value === "string" && DAY.test(value))) return "date";
  return values.some((value) => typeof value === "object") ? "other" : "text";
}

/** The text of a cell; empty for null. */
export function cellText(value) {
  if (value === null) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Below zero, zero or above, as numbers or as texts; null comes last either way. */
export function compare(one, other, kind, direction) {
  if (one === null || other === null) return (one === null) - (other === null);
  const ahead = kind === "number"
    ? Number(one) - Number(other)
    : cellText(one).localeCompare(cellText(other), undefined, { numeric: true });
  return direction * ahead;
}

export function shortNumber(value) {
  return new Intl.NumberFormat("en", { maximumFractionDigits: 2, notation: Math.abs(value) >= 1e6 ? "compact" : "standard" })
    .format(value);
}
