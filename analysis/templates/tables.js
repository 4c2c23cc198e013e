// Tables that sort by any column and filter by any text.

const FIRST = 12;

const FORMATS = {
  text: (value) => value ?? "",
  score: (value) => value,
  model: (value) => modelLabel(value),
  count: (value) => number(value, 0),
  decibel: (value) => number(value, 2),
  signed: (value) => number(value, 3, true),
  tau: (value) => number(value, 3),
  share: (value) => (value === null ? "" : `${(100 * value).toFixed(0)} %`),
  p: pValue,
};
const LEFT = new Set(["text", "score", "model", "tick"]);

/**
 * A table in a host element.
 *
 * `get()` gives the part to show: columns as [name, label, kind, hint], data by column, query, row,
 * or a reason why there is none. Options: `follow` names the columns that are kept to what is
 * chosen; `tick` makes the cell of a column of kind "tick"; `onRow` hears of a chosen row; `sort`
 * names the column that the table begins with, from the highest.
 */
function makeTable(id, title, get, options = {}) {
  const host = find(`table-${id}`);
  const state = { column: null, down: false, filter: "", every: !options.follow, all: false };
  const query = queryBox();
  const count = el("span", { class: "count", "aria-live": "polite" });
  const body = el("tbody");
  const head = el("thead");
  const more = el("button", { type: "button", class: "more" });
  const search = el("input", { type: "search", placeholder: "Filter", "aria-label": `Filter: ${title}` });
  const every = el("input", { type: "checkbox" });
  const scope = el("label", { class: "scope", hidden: !options.follow }, every, ` ${options.every ?? "all images and tasks"}`);
  const table = el("table", { id: `${id}-table` }, el("caption", {}, title), head, body);
  const scroll = el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": title }, table);
  const tools = el("div", { class: "tools" }, search, scope, count);
  const none = el("p", { class: "none", hidden: true });
  host.classList.add("table");
  host.append(none, tools, scroll, more, query.box);
  let part = {};
  let seen = [];

  search.addEventListener("input", () => { state.filter = search.value.toLowerCase(); rows(); });
  every.addEventListener("change", () => { state.every = every.checked; heads(); rows(); });
  more.addEventListener("click", () => { state.all = !state.all; rows(); });

  function record(at) {
    return Object.fromEntries(part.columns.map(([name], column) => [name, part.data[column][at]]));
  }

  function kept() {
    const texts = part.columns.map(([, , kind]) => LEFT.has(kind) && kind !== "tick");
    const found = [];
    for (let at = 0; at < (part.data[0] ?? []).length; at += 1) {
      const one = record(at);
      if (!state.every && options.follow.some((name) => name in one && one[name] !== chosen[name])) continue;
      const text = texts
        .map((isText, column) => (isText ? String(part.data[column][at] ?? "") : ""))
        .join(" ")
        .toLowerCase();
      if (state.filter && !state.filter.split(/\s+/).every((word) => text.includes(word))) continue;
      found.push(at);
    }
    return found;
  }

  function compare(column, first, second) {
    const [a, b] = [part.data[column][first], part.data[column][second]];
    // What is missing comes last whichever way the table is sorted.
    if (a === null || b === null) return (a === null) - (b === null);
    const order = typeof a === "string" ? a.localeCompare(b) : a - b;
    return state.down ? -order : order;
  }

  function heads() {
    // Columns that are the same in every row only take room.
    seen = part.columns.map((_, column) => column)
      .filter((column) => state.every || !options.follow.includes(part.columns[column][0]));
    head.replaceChildren(el("tr", {}, ...seen.map((column, place) => {
      const [name, label, kind, hint] = part.columns[column];
      if (kind === "tick") return el("th", { scope: "col", class: "tick" }, el("span", { class: "hidden" }, label));
      const sorted = state.column === name ? (state.down ? "descending" : "ascending") : "none";
      const button = el("button", { type: "button", title: hint || null }, label);
      button.addEventListener("click", () => {
        state.down = state.column === name && !state.down;
        state.column = name;
        heads();
        rows();
        head.querySelectorAll("th")[place].querySelector("button").focus();
      });
      return el("th", { scope: "col", "aria-sort": sorted, class: LEFT.has(kind) ? null : "number" }, button);
    })));
  }

  function pick(line, at) {
    body.querySelector(".picked")?.classList.remove("picked");
    line.classList.add("picked");
    const one = record(at);
    if (part.row) query.one(fillQuery(part.row, { ...one, image: one.image ?? chosen.image, task: one.task ?? chosen.task }));
    options.onRow?.(one);
  }

  function row(at, place) {
    const line = el("tr", { tabindex: place ? -1 : 0 });
    seen.forEach((column) => {
      const kind = part.columns[column][2];
      const value = part.data[column][at];
      const shown = kind === "tick" ? options.tick(value) : value === null ? "" : FORMATS[kind](value);
      line.append(el(kind === "score" || kind === "model" ? "th" : "td",
        { class: LEFT.has(kind) ? kind : "number", scope: kind === "score" || kind === "model" ? "row" : null }, shown));
    });
    line.addEventListener("click", () => pick(line, at));
    line.addEventListener("keydown", (event) => {
      const next = { ArrowDown: line.nextElementSibling, ArrowUp: line.previousElementSibling }[event.key];
      if (next) { event.preventDefault(); next.focus(); }
      if (event.key === "Enter" && event.target === line) pick(line, at);
    });
    return line;
  }

  function rows() {
    if (part.reason) return;
    const found = kept();
    // What a table has columns for may differ from choice to choice.
    const by = part.columns.findIndex(([name]) => name === state.column);
    if (by >= 0) found.sort((first, second) => compare(by, first, second));
    const shown = state.all ? found : found.slice(0, FIRST);
    body.replaceChildren(...shown.map(row));
    const total = (part.data[0] ?? []).length;
    count.textContent = found.length === total ? `${total} rows` : `${found.length} of ${total} rows`;
    more.hidden = found.length <= FIRST;
    more.textContent = state.all ? `Show ${FIRST}` : `Show all ${found.length}`;
  }

  function refresh() {
    const inside = host.contains(document.activeElement);
    const focused = inside ? document.activeElement.getAttribute("aria-label") : null;
    part = get();
    const missing = Boolean(part.reason);
    none.hidden = !missing;
    none.textContent = missing ? `Not available: ${part.reason}.` : "";
    tools.hidden = scroll.hidden = missing;
    tools.classList.toggle("few", !missing && !state.filter && (part.data[0] ?? []).length <= FIRST / 2);
    more.hidden = missing;
    query.set(fillQuery(part.query, chosen));
    if (missing) return;
    if (options.sort && state.column === null) Object.assign(state, { column: options.sort, down: true });
    heads();
    rows();
    // The row that was focused has been made anew.
    if (focused) [...host.querySelectorAll("input")].find((node) => node.getAttribute("aria-label") === focused)?.focus({ preventScroll: true });
  }

  follow([...(options.follow ?? []), ...(options.redraw ?? [])], refresh);
  return { refresh, rows };
}
