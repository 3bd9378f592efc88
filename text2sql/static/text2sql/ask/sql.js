// SQL in colours. Only for the eye: what cannot be read is shown as it stands.

import { el } from "./elements.js";

const WORDS =
  "all|and|any|as|asc|between|by|case|cast|coalesce|count|cross|current_date|current_timestamp|date_trunc|desc|distinct|else|" +
  "end|except|exists|extract|false|fetch|filter|first|following|for|from|full|group|having|in|inner|intersect|interval|is|" +
  "join|last|lateral|left|like|ilike|limit|natural|not|null|nulls|offset|on|or|order|outer|over|partition|preceding|range|" +
  "recursive|right|rows|select|sum|avg|min|max|round|then|true|unbounded|union|using|values|when|where|window|with|within";

const PARTS = new RegExp(
  ["(?<comment>--[^\\n]*|/\\*[\\s\\S]*?\\*/)", "(?<text>'(?:[^']|'')*')", '"[^"]*"|`[^`]*`',
    "(?<number>\\b\\d+(?:\\.\\d+)?\\b)", `(?<word>\\b(?:${WORDS})\\b)`].join("|"),
  "gi",
);

export function paint(code, sql) {
  const parts = [];
  let end = 0;
  for (const found of sql.matchAll(PARTS)) {
    const kind = Object.keys(found.groups).find((name) => found.groups[name] !== undefined);
    if (!kind) continue;
    parts.push(sql.slice(end, found.index), el("span", { class: `sql-${kind}` }, found[0]));
    end = found.index + found[0].length;
  }
  code.replaceChildren(...parts, sql.slice(end));
}

const CLAUSE = /^(from|where|group by|having|order by|limit|offset|union( all)?|intersect|except|((left|right|full)( outer)? |inner |cross )?join)$/i;
const PIECES = new RegExp(
  ["--[^\\n]*|/\\*[\\s\\S]*?\\*/|'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`",
    "\\b(?:(?:left|right|full)(?: outer)? join|inner join|cross join|group by|order by|union all|\\w+)\\b", "[\\s\\S]"].join("|"),
  "gi",
);

/** A statement on one line, with a line for each clause; only space changes. What has lines already is left alone. */
export function layOut(sql) {
  if (/[\n\\$]/.test(sql) || sql.length < 60) return sql; // with escapes and dollars, what is text is not so sure
  const open = [true];
  let text = "";
  const line = () => `\n${"  ".repeat(open.filter((isQuery) => isQuery).length - 1)}`;
  for (const { 0: piece, index } of sql.matchAll(PIECES)) {
    if (piece === "(") {
      open.push(/^\(\s*(select|with)\b/i.test(sql.slice(index, index + 20)));
      text += piece + (open.at(-1) ? line() : "");
    } else if (piece === ")" && open.length > 1) {
      text = open.pop() ? `${text.trimEnd()}${line()}${piece}` : text + piece;
    } else if (open.at(-1) && (CLAUSE.test(piece) || (/^select$/i.test(piece) && /(\)|union|all|except|intersect)\s*$/i.test(text)))) {
      text = `${text.trimEnd()}${line()}${piece}`;
    } else if (piece !== " " || !/\n\s*$/.test(text)) {
      text += piece;
    }
  }
  return text;
}
