"use strict";
// The data, what the reader has chosen, and the small tools that all parts of the page use.

const data = JSON.parse(document.getElementById("data").textContent);
const chosen = { image: null, task: null, score: null, models: [] };
const listeners = [];

/** Change what is chosen and let the parts that depend on it draw themselves again. */
function choose(changes) {
  Object.assign(chosen, changes);
  for (const [names, draw] of listeners) {
    if (names.some((name) => name in changes)) draw();
  }
}

/** Draw now, and again whenever one of the named choices changes. */
function follow(names, draw) {
  listeners.push([names, draw]);
  draw();
}

const find = (id) => document.getElementById(id);
const pairOf = (list) =>
  list.find((part) => part.image === chosen.image && part.task === chosen.task);

function fillIn(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** An HTML element. */
function el(tag, attributes = {}, ...children) {
  return fillIn(document.createElement(tag), attributes, children);
}

/** An SVG element. */
function svg(tag, attributes = {}, ...children) {
  return fillIn(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

/** A number with a true minus sign; nothing for a missing one. */
function number(value, digits, sign = false) {
  if (value == null) return "";
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return (value < 0 ? "−" : sign ? "+" : "") + text;
}

// A table's column without any value is not in the page: what is missing is null or undefined.
function pValue(value) {
  if (value == null) return "";
  return value < 0.0001 ? "< 0.0001" : value.toPrecision(2);
}

/** A p-value with its name, to follow other numbers; nothing for a missing one. */
const withP = (name, value) => (value == null ? "" : `, ${name} ${pValue(value)}`);

/** An interval to follow its number; nothing for a missing one. */
const inBrackets = (low, high) =>
  (low == null || high == null ? "" : ` [${number(low, 2, true)}, ${number(high, 2, true)}]`);

/** Little-endian uint16 from base64. */
function unpack(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  return Uint16Array.from({ length: bytes.length / 2 }, (_, i) => view.getUint16(2 * i, true));
}

/** A text as the inside of a Python string in double quotes. */
const escaped = (text) => String(text).replace(/[\\"]/g, "\\$&");

/** A query with the names in braces put in. */
function fillQuery(query, values) {
  return query.replace(/\{(\w+)\}/g, (whole, name) =>
    values[name] === undefined || values[name] === null ? whole : escaped(values[name]),
  );
}

/** The disclosure with the Python line of a table or figure, and that of one chosen number. */
function queryBox() {
  const code = el("code");
  const copy = el("button", { type: "button" }, "Copy");
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
      copy.textContent = "Copied";
    } catch {
      // Over plain http there is no clipboard, and a browser may refuse the one that there is.
      getSelection().selectAllChildren(code);
      copy.textContent = "Selected: copy it with Ctrl+C or ⌘C";
    }
  });
  const box = el("details", { class: "query" }, el("summary", {}, "Query"), el("pre", {}, code), copy);
  let general = "";
  const show = (one) => {
    code.textContent = one ? `${general}\n${one}` : general;
    copy.textContent = "Copy";
  };
  return { box, set: (line) => { general = line; show(""); }, one: show };
}

/** Show a text beside the pointer while it is over a node, or beside the node that has the focus. */
function tip(node, text) {
  const place = (x, y) => {
    const note = find("tip");
    note.textContent = text;
    note.hidden = false;
    const room = document.documentElement.clientWidth - note.offsetWidth - 8;
    note.style.left = `${Math.max(8, Math.min(x + 14, room))}px`;
    const above = y - note.offsetHeight - 14;
    note.style.top = `${above > 8 ? above : y + 20}px`;
  };
  const point = (event) => place(event.clientX, event.clientY);
  node.addEventListener("pointerenter", point);
  node.addEventListener("pointermove", point);
  node.addEventListener("pointerleave", hideTip);
  node.addEventListener("focus", () => {
    if (!node.matches(":focus-visible")) return;
    node.scrollIntoView({ block: "nearest", inline: "nearest", behavior: "instant" });
    const box = node.getBoundingClientRect();
    place(box.left + box.width / 2, box.top);
  });
  node.addEventListener("blur", hideTip);
  return node;
}

function hideTip() {
  find("tip").hidden = true;
}

/** Call `draw(width)` with the room that a host has, now and whenever that changes. */
function onWidth(host, draw) {
  let last = 0;
  const look = () => {
    const width = Math.floor(host.clientWidth);
    if (width && width !== last) { last = width; draw(width); }
  };
  new ResizeObserver(look).observe(host);
  return () => { last = 0; look(); };
}

/** Pixels that a text takes in a figure, in bold to be safe. */
function textWidth(text, size, weight = 650) {
  textWidth.pen ??= document.createElement("canvas").getContext("2d");
  textWidth.pen.font = `${weight} ${size}px ${getComputedStyle(document.body).fontFamily}`;
  return textWidth.pen.measureText(text).width;
}

/** A model's short name and its skips as a grid of 5 by 5; a named network has its name only. */
function modelLabel(model) {
  const [block, bits] = model.split("/");
  if (!bits) return el("span", { class: "model" }, block);
  let path = "";
  [...bits].forEach((bit, at) => {
    if (bit === "1") path += `M${at % 5} ${Math.floor(at / 5)}h.86v.86h-.86z`;
  });
  const grid = svg(
    "svg",
    { class: "skips", viewBox: "-.4 -.4 5.66 5.66", role: "img", "aria-label": `skips ${bits}` },
    svg("rect", { x: -0.3, y: -0.3, width: 5.46, height: 5.46 }),
    svg("path", { d: path }),
  );
  return el("span", { class: "model", title: model }, grid, el("span", {}, shortModel(model)));
}

/** A model's name short enough for a line, which queries take too: its skips in hexadecimal. */
function shortModel(model) {
  const [block, bits] = model.split("/");
  return bits ? `${block}/${parseInt(bits, 2).toString(16).toUpperCase().padStart(7, "0")}` : block;
}
