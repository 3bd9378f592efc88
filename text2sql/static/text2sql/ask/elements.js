// Elements made from plain values; text is always text, never markup.

const SVG = "http://www.w3.org/2000/svg";

/** el("button", {type: "button", onclick: act}, "Run"); false, null and undefined attributes are left out. */
export function el(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export function button(text, onclick, attributes = {}) {
  return el("button", { type: "button", onclick, ...attributes }, text);
}

let last = 0;

/** An id that nothing else on the page has. */
export function fresh(prefix) {
  last += 1;
  return `${prefix}-${last}`;
}

/** A button that says that it is at work, and takes no further click meanwhile. */
export async function busy(pressed, work) {
  if (pressed.getAttribute("aria-busy") === "true") return undefined;
  pressed.setAttribute("aria-busy", "true");
  try {
    return await work();
  } finally {
    pressed.removeAttribute("aria-busy");
  }
}
