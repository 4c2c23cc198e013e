// Axes and frames that the figures share.

const COLOURS = 7;
const colour = (at) => `var(--c${at % COLOURS})`;

/** Round steps for about `wanted` ticks between two values. */
function ticks(low, high, wanted) {
  const raw = (high - low) / Math.max(wanted, 1) || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const away = (times) => Math.abs(Math.log((times * power) / raw));
  const step = [1, 2, 5, 10].reduce((near, times) => (away(times) < away(near) ? times : near)) * power;
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at += 1) found.push(at * step);
  return { values: found, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

/** A linear map from [low, high] to [start, end]. */
function scale(low, high, start, end) {
  const size = high - low || 1;
  return (value) => start + ((value - low) / size) * (end - start);
}

/** The smallest and the largest number of a list, what is missing left out. */
function extent(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value === null || !Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low > high ? [0, 1] : [low, high];
}

function label(x, y, text, attributes = {}) {
  return svg("text", { x, y, ...attributes }, text);
}

/** Vertical grid lines with their numbers below, and the name of the axis. */
function axisBelow(at, range, top, bottom, title, wanted) {
  const { values, digits } = ticks(...range, wanted);
  const group = svg("g", { class: "axis" });
  for (const value of values) {
    const x = at(value);
    group.append(
      svg("line", { x1: x, x2: x, y1: top, y2: bottom, class: Math.abs(value) < 1e-9 ? "zero" : "grid" }),
      label(x, bottom + 15, number(value, digits), { "text-anchor": "middle" }),
    );
  }
  group.append(label(at(range[1]), bottom + 33, title, { "text-anchor": "end", class: "title" }));
  return group;
}

/** Horizontal grid lines with their numbers at the left, the axis' name above them. */
function axisLeft(at, range, left, right, title, wanted) {
  const { values, digits } = ticks(...range, wanted);
  const group = svg("g", { class: "axis" });
  for (const value of values) {
    const y = at(value);
    group.append(
      svg("line", { x1: left, x2: right, y1: y, y2: y, class: "grid" }),
      label(left - 7, y + 4, number(value, digits), { "text-anchor": "end" }),
    );
  }
  group.append(label(0, 11, title, { class: "title" }));
  return group;
}

/** A shape that tells its exact values to the pointer and, by `roam`, to the keyboard. */
function mark(node, text, click = null) {
  const name = text.replaceAll("\n", ", ");
  fillIn(node, { tabindex: -1, role: click ? "button" : "img", "aria-label": name, onclick: click }, []);
  node.classList.add("mark");
  return tip(node, text);
}

/**
 * Make the marks of a figure one tab stop, and let the arrow keys move between them.
 *
 * Left and right go through all of them; up and down keep to the column where marks have one. The
 * listeners are the host's: an SVG element that listens to focus would be a tab stop itself.
 */
function roam(host) {
  let marks = [];
  let stop = null;
  const stopAt = (next) => {
    stop?.setAttribute("tabindex", -1);
    next?.setAttribute("tabindex", 0);
    stop = next;
  };
  host.addEventListener("focusin", (event) => {
    if (marks.includes(event.target)) stopAt(event.target);
  });
  host.addEventListener("keydown", (event) => {
    const at = marks.indexOf(event.target);
    if (at < 0 || event.altKey || event.ctrlKey || event.metaKey) return;
    const next = nextMark(marks, at, event.key);
    if (next) next.focus({ preventScroll: true });
    else if (event.key === "Enter" || event.key === " ") marks[at].dispatchEvent(new MouseEvent("click"));
    else if (event.key === "Escape") hideTip();
    else return;
    event.preventDefault();
  });
  /** Take the marks that were drawn anew. */
  return (root) => {
    marks = [...root.querySelectorAll(".mark")];
    stopAt(marks[0]);
    return marks;
  };
}

function nextMark(marks, at, key) {
  if (key === "Home") return marks[0];
  if (key === "End") return marks.at(-1);
  const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[key];
  if (!step) return null;
  const inColumn = (node) => node.dataset.column === marks[at].dataset.column;
  let next = at + step;
  if (key === "ArrowUp" || key === "ArrowDown") {
    while (marks[next] && !inColumn(marks[next])) next += step;
  }
  return marks[next] ?? marks[at];
}

/**
 * A figure in a host element, drawn to its width and drawn again on the choices named.
 *
 * `draw(width)` gives {node, name, query} or {reason}; `one` shows the query of a single mark.
 */
function makeFigure(id, names, draw) {
  const host = find(`figure-${id}`);
  const plot = el("div", { class: "plot" });
  const query = queryBox();
  host.classList.add("figure");
  host.append(plot, query.box);
  const renew = roam(plot);
  let marks = [];
  const again = onWidth(plot, (width) => {
    const active = plot.contains(document.activeElement) ? document.activeElement : null;
    const focused = marks.indexOf(active);
    if (focused >= 0) hideTip();
    const made = draw(width, query.one);
    marks = made.reason ? [] : renew(made.node);
    query.set(made.query ?? "");
    query.box.hidden = !made.query;
    if (made.reason) {
      plot.replaceChildren(el("p", { class: "none" }, `Not available: ${made.reason}.`));
      return;
    }
    if (made.node instanceof SVGElement) {
      made.node.setAttribute("role", marks.length ? "application" : "img");
      made.node.setAttribute("aria-label", made.name + (marks.length ? "; arrow keys move between its marks" : ""));
    }
    plot.replaceChildren(made.head ?? "", made.node);
    // What was focused has been made anew; what has gone leaves the focus to the next of its kind.
    if (focused >= 0) marks[focused]?.focus({ preventScroll: true });
    else if (active) alike(plot, active)?.focus({ preventScroll: true });
  });
  follow(names, again);
}

/** The node of a figure that stands for one that was there before it was drawn anew. */
function alike(plot, before) {
  const name = before.getAttribute("aria-label");
  const nodes = [...plot.querySelectorAll(before.localName)];
  return nodes.find((node) => node.getAttribute("aria-label") === name) ?? nodes[0] ?? plot.querySelector("[tabindex]");
}

/** The root of a figure's drawing. */
function canvas(width, height) {
  return svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height });
}

/** Rows of a table part as objects. */
function records(part) {
  if (!part.data) return [];
  return (part.data[0] ?? []).map((_, at) =>
    Object.fromEntries(part.columns.map(([name], column) => [name, part.data[column][at]])));
}

/** Why there is nothing to draw: the table's reason, or that of a row that lacks the number. */
function whyNone(part, rows, name, otherwise) {
  return part.reason ?? rows.find((row) => row[name] == null && row.reason)?.reason ?? otherwise;
}
