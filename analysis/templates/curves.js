// The curves of the chosen models, with their values where the reader points.

const curveState = { kind: Object.keys(data.curves.kinds)[0], at: null };
const unpacked = new Map();

/** The curve of a model on the chosen image and task: PSNR in dB by point, up to where it ended. */
function curveOf(model, kind) {
  const at = data.curves.pairs.findIndex(([image, task]) => image === chosen.image && task === chosen.task);
  const pair = pairOf(data.pairs);
  const packed = data.curves.kinds[kind]?.[at];
  if (!packed || !pair) return null;
  const [places, points, text] = packed;
  const rank = pair.places.findIndex((place) => data.models[place] === model);
  const row = places.indexOf(rank);
  if (rank < 0 || row < 0) return null;
  const name = `${kind} ${at}`;
  if (!unpacked.has(name)) unpacked.set(name, unpack(text));
  const { step, lowest, missing } = data.curves;
  const levels = unpacked.get(name).subarray(row * points, (row + 1) * points);
  const values = Array.from(levels, (level) => (level === missing ? null : lowest + level * step));
  return values.slice(0, values.findLastIndex((value) => value !== null) + 1);
}

/** The iteration of a curve's point. */
function iterationAt(point) {
  return data.curves.first + point * data.curves.stride;
}

/** The models that can be drawn here, in the order of their colours. */
function drawnModels() {
  return chosen.models
    .map((model, at) => ({ model, colour: colour(at), values: curveOf(model, curveState.kind) }))
    .filter((line) => line.values?.length);
}

function toggleModel(model) {
  const without = chosen.models.filter((other) => other !== model);
  if (without.length < chosen.models.length) choose({ models: without });
  else choose({ models: [...chosen.models, model].slice(-COLOURS) });
}

function curveFigure(width, one) {
  const pair = pairOf(data.pairs);
  if (!pair?.places.length) return { reason: pair?.reason ?? "no run of this image and task" };
  const lines = drawnModels();
  const { every } = data.curves;
  const kind = curveState.kind;
  const query = lines
    .map((line) => fillQuery(data.queries.curve, { ...chosen, model: line.model, kind, every }))
    .join("\n");
  const head = legend(lines);
  if (!lines.length) {
    return { head, node: el("p", { class: "none" }, "No model chosen: tick some in the table above."), query: "", name: "no curve" };
  }
  const points = Math.max(...lines.map((line) => line.values.length));
  const [top, bottom, left, right] = [24, Math.max(230, Math.min(360, width * 0.5)), 40, width - 14];
  const root = canvas(width, bottom + 42);
  root.setAttribute("tabindex", 0);
  // The first twentieth is steep and alike in all curves; the view is made for the rest.
  const late = lines.flatMap((line) => line.values.slice(Math.floor(line.values.length / 20)));
  const [low, high] = extent(late);
  const up = [low - (high - low) * 0.05, high + (high - low) * 0.08];
  const x = scale(iterationAt(0), iterationAt(points - 1), left, right);
  const y = scale(...up, bottom, top);
  root.append(
    axisLeft(y, up, left, right, `${kind === "psnr" ? "PSNR" : "smoothed PSNR"} (dB)`, 5),
    axisBelow(x, [iterationAt(0), iterationAt(points - 1)], bottom, bottom, "iteration", width / 90),
  );
  for (const line of lines) {
    let path = "";
    let pen = "M";
    line.values.forEach((value, at) => {
      if (value === null || value < up[0]) { pen = "M"; return; }
      path += `${pen}${x(iterationAt(at)).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
    });
    const [, peak] = extent(line.values);
    root.append(
      svg("path", { d: path, class: "curve", "data-model": line.model, stroke: line.colour }),
      svg("circle", { cx: x(iterationAt(line.values.indexOf(peak))), cy: y(peak), r: 3.5, fill: line.colour }),
    );
  }
  const cross = svg("line", { y1: top, y2: bottom, class: "cross", visibility: "hidden" });
  root.append(cross);
  const point = (at) => {
    curveState.at = at === null ? null : Math.max(0, Math.min(points - 1, at));
    cross.setAttribute("visibility", at === null ? "hidden" : "visible");
    if (at !== null) {
      cross.setAttribute("x1", x(iterationAt(curveState.at)));
      cross.setAttribute("x2", x(iterationAt(curveState.at)));
    }
    readValues(head, lines);
  };
  const where = (event) => {
    const inside = event.clientX - root.getBoundingClientRect().left;
    return Math.round(((inside - left) / (right - left)) * (points - 1));
  };
  if (curveState.at !== null) point(curveState.at);
  root.addEventListener("pointermove", (event) => point(where(event)));
  root.addEventListener("pointerdown", (event) => point(where(event)));
  root.addEventListener("pointerleave", () => point(null));
  root.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    point((curveState.at ?? 0) + step);
  });
  return { head, node: root, query, name: `Curves of ${lines.length} models; arrow keys move the cursor` };
}

function legend(lines) {
  const kinds = Object.keys(data.curves.kinds);
  const choice = kinds.length < 2 ? null : el("select", { "aria-label": "Kind of curve" },
    ...kinds.map((kind) => el("option", { value: kind, selected: kind === curveState.kind }, kind === "psnr" ? "PSNR" : "smoothed PSNR")));
  choice?.addEventListener("change", () => { curveState.kind = choice.value; choose({ models: chosen.models }); });
  const body = el("ul", {}, ...lines.map((line) => {
    const swatch = svg("svg", { width: 18, height: 10, "aria-hidden": "true" },
      svg("line", { x1: 1, x2: 17, y1: 5, y2: 5, stroke: line.colour, "stroke-width": 3, "stroke-linecap": "round" }));
    const remove = el("button", { type: "button", "aria-label": `Remove ${line.model}`, title: "Remove" }, "×");
    remove.addEventListener("click", () => toggleModel(line.model));
    return el("li", {}, swatch, modelLabel(line.model), el("output", {}), remove);
  }));
  const box = el("div", { class: "legend" }, el("p", {}, choice, el("span", { class: "where" })), body);
  readValues(box, lines);
  return box;
}

/** Write the values at the cursor into the legend, or each curve's best where there is no cursor. */
function readValues(box, lines) {
  const { at } = curveState;
  const points = lines.length ? Math.max(...lines.map((line) => line.values.length)) : 0;
  const known = at !== null && at < points;
  box.querySelector(".where").textContent = !lines.length ? "" : known ? `iteration ${iterationAt(at)}` : "best of each curve";
  box.querySelectorAll("output").forEach((node, place) => {
    const { values } = lines[place];
    const value = known ? values[at] : extent(values)[1];
    node.textContent = value === null || value === undefined ? "–" : `${number(value, 2)} dB`;
  });
}
