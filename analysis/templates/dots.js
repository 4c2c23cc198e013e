// Dots with intervals, one row each; the histogram and the scatter of the models.

/** Rows of {label, value, low, high, others, ring, hover, click} over one axis. */
function dotPlot({ width, rows, title, lines = [] }) {
  const step = 22;
  const size = width < 500 ? 11 : 12;
  const left = Math.min(Math.ceil(Math.max(...rows.map((row) => textWidth(row.label, size)))) + 16, width * 0.55);
  const top = lines.length ? 24 : 8;
  const bottom = top + rows.length * step;
  const root = canvas(width, bottom + 40);
  const all = rows.flatMap((row) => [row.value, row.low, row.high, row.ring, ...(row.others ?? []).map((dot) => dot.value)]);
  const [low, high] = extent([0, ...all, ...lines.map((line) => line.value)]);
  const pad = (high - low) * 0.04 || 0.1;
  const range = [low - pad, high + pad];
  const at = scale(...range, left, width - 12);
  root.append(axisBelow(at, range, top, bottom, title, Math.max(width - left < 220 ? 2 : 4, (width - left) / 90)));
  for (const line of lines) {
    root.append(
      svg("line", { x1: at(line.value), x2: at(line.value), y1: top - 6, y2: bottom, class: "limit" }),
      label(Math.min(at(line.value), width - 70), top - 10, `${line.name} ${number(line.value, 2)}`, { "text-anchor": "middle", class: "limit" }),
    );
  }
  rows.forEach((row, place) => {
    const y = top + (place + 0.5) * step;
    const group = svg("g", { class: row.strong ? "row strong" : "row" });
    group.append(svg("rect", { x: 0, y: y - step / 2, width, height: step, class: "hit" }));
    const narrow = textWidth(row.label, size, row.strong ? 650 : 400) > left - 12 ? { textLength: left - 12, lengthAdjust: "spacingAndGlyphs" } : {};
    group.append(label(left - 10, y + 4, row.label, { "text-anchor": "end", ...narrow }));
    for (const dot of row.others ?? []) {
      group.append(svg("circle", { cx: at(dot.value), cy: y, r: 3, class: "other" }));
    }
    if (row.low != null && row.high != null) {
      group.append(svg("line", { x1: at(row.low), x2: at(row.high), y1: y, y2: y, class: "interval" }));
    }
    if (row.value != null) group.append(svg("circle", { cx: at(row.value), cy: y, r: 4, class: "dot" }));
    if (row.ring != null) {
      group.append(svg("circle", { cx: at(row.ring), cy: y, r: 5, class: "ring" }));
    }
    root.append(mark(group, row.hover, row.click));
  });
  return root;
}

/** Directed tau and its interval; of a score without a direction raw tau alone. */
function directed(row) {
  return { value: row.direction ? row.tau_directed : row.tau, low: row.tau_directed_low, high: row.tau_directed_high };
}

function tauFigure(width, one) {
  const part = data.tables.correlations;
  const every = records(part).filter((row) => row.task === chosen.task);
  const rows = every.filter((row) => row.tau != null);
  if (!rows.length) return { reason: whyNone(part, every, "tau", "no score could be correlated on this task"), query: part.query };
  const averages = records(data.tables.averages).filter((row) => row.task === chosen.task);
  const byScore = Map.groupBy ? Map.groupBy(rows, (row) => row.score) : group(rows, (row) => row.score);
  const images = new Set(rows.map((row) => row.image)).size;
  const made = [...byScore].map(([score, mine]) => {
    const average = averages.find((row) => row.score === score);
    const here = mine.find((row) => row.image === chosen.image);
    // Of several images the one dot is their mean, and no single image stands for it.
    const main = images > 1 ? directed(average ?? {}) : directed(mine[0]);
    const arrow = mine[0].direction ? "" : " (raw)";
    return {
      label: score + arrow,
      ...main,
      others: images > 1 ? mine.map(directed) : [],
      ring: images > 1 && here ? directed(here).value : null,
      strong: score === chosen.score,
      hover: [
        score + arrow,
        images > 1 ? meanWords(average, main) : null,
        here ? `${here.image}: τ = ${number(directed(here).value, 3, true)}${inBrackets(directed(here).low, directed(here).high)}`
          + `${withP("p max", here.p_max)}, n = ${here.n}` : null,
      ].filter(Boolean).join("\n"),
      click: () => { choose({ score }); one(fillQuery(part.row, { ...mine[0], ...here })); },
    };
  });
  // Those without a mean come last.
  made.sort((a, b) => (b.value ?? -2) - (a.value ?? -2));
  const ceilings = records(data.tables.reliability)
    .filter((row) => row.task === chosen.task && typeof row.ceiling === "number")
    .map((row) => row.ceiling);
  // Beside the means over images a ceiling is one over the same images.
  const lines = ceilings.length && ceilings.length === images
    ? [{ name: "ceiling", value: ceilings.reduce((sum, value) => sum + value, 0) / ceilings.length }] : [];
  const fewer = averages.some((row) => row.tau != null && row.images < images);
  const mean = `mean of ${fewer ? "up to " : ""}${images} images, 95 % interval`;
  const head = el("p", { class: "key" },
    made.some((row) => row.value !== null) ? key("dot", images > 1 ? mean : "τ, 95 % interval") : null,
    images > 1 ? key("other", "single images") : null,
    images > 1 ? key("ring", chosen.image) : null);
  const node = dotPlot({ width, rows: made, lines, title: "directed Kendall’s τ" });
  return { head, node, query: `${part.query}\n${data.tables.averages.query}`, name: `Directed tau of ${made.length} scores on ${chosen.task}` };
}

/** What the hover says of a mean over images, or why there is none. */
function meanWords(average, { value, low, high }) {
  if (value === null) return average?.reason ?? "no mean over images";
  return `mean of ${average.images} images: τ = ${number(value, 3, true)}${inBrackets(low, high)}`;
}

function group(list, name) {
  const found = new Map();
  for (const item of list) found.set(name(item), [...(found.get(name(item)) ?? []), item]);
  return found;
}

function key(kind, text) {
  return el("span", {}, svg("svg", { width: 14, height: 14, "aria-hidden": "true" }, svg("circle", { cx: 7, cy: 7, r: 4, class: kind })), text);
}

function specificity(width, one) {
  const part = data.tables.specificity;
  const here = records(part).filter((row) => row.task === chosen.task);
  const rows = here.filter((row) => row.advantage != null);
  if (!rows.length) return { reason: whyNone(part, here, "advantage", "no score could be compared over the images of this task"), query: part.query };
  rows.sort((a, b) => b.advantage - a.advantage);
  const node = dotPlot({
    width,
    title: "directed τ on the own image less on others",
    rows: rows.map((row) => ({
      label: row.score, value: row.advantage, low: row.low, high: row.high,
      hover: `${row.score}\nadvantage ${number(row.advantage, 3, true)}${inBrackets(row.low, row.high)}${withP("p of assignments", row.p_assignment)}`,
      strong: row.score === chosen.score,
      click: () => { choose({ score: row.score }); one(fillQuery(part.row, row)); },
    })),
  });
  return { node, query: part.query, name: `Advantage of ${rows.length} scores on their own image` };
}

function attributeFigure(width, one) {
  const part = data.tables.attributes;
  const here = records(part).filter((row) => row.image === chosen.image && row.task === chosen.task);
  const rows = here.filter((row) => row.attribute !== "skip" && row.effect != null);
  if (!rows.length) return { reason: whyNone(part, here, "effect", "no attribute has 5 models with and 5 without it"), query: part.query };
  const node = dotPlot({
    width,
    title: "mean PSNR with less without (dB)",
    rows: rows.map((row) => ({
      label: `${row.attribute} ${row.level}`, value: row.effect, low: row.low, high: row.high,
      hover: `${row.attribute} ${row.level}: ${number(row.effect, 2, true)} dB${inBrackets(row.low, row.high)}\n`
        + `${row.n_with} models with, ${row.n_without} without${withP("adjusted p", row.p_max)}`,
      click: () => one(fillQuery(part.row, row)),
    })),
  });
  return { node, query: part.query, name: "Effects of the attributes of the upsample block on PSNR" };
}

function pickKey(k, tied) {
  return el("span", {}, svg("svg", { width: 6, height: 14, "aria-hidden": "true" },
    svg("rect", { x: 1.5, width: 2.5, height: 14, class: `pick top${k}` })),
  tied ? `top ${k}, of which ties leave ${tied} open` : `top ${k}`);
}

function histogram(width, one) {
  const part = pairOf(data.pairs);
  const query = fillQuery(data.queries.models, chosen);
  if (!part?.places.length) return { reason: part?.reason ?? "no run of this image and task", query };
  const psnr = part.data[0];
  const [low, high] = extent(psnr);
  const bins = Math.min(40, Math.max(8, Math.ceil(2 * Math.sqrt(psnr.length))));
  const size = (high - low) / bins || 1;
  const counts = new Array(bins).fill(0);
  for (const value of psnr) counts[Math.min(bins - 1, Math.floor((value - low) / size))] += 1;
  const [top, bottom, left, right] = [24, 128, 34, width - 12];
  const picks = pairOf(data.scores)?.picks[chosen.score] ?? [];
  const line = picks.length ? bottom + 20 : bottom;
  const root = canvas(width, line + 40);
  const x = scale(low, high, left, right);
  const y = scale(0, Math.max(...counts), bottom, top);
  root.append(axisLeft(y, [0, Math.max(...counts)], left, right, "models", 3));
  root.append(axisBelow(x, [low, high], line, line, `${data.facts.by_words}`, width / 90));
  counts.forEach((count, bin) => {
    const bar = svg("rect", { x: x(low + bin * size) + 0.5, width: Math.max(1, (right - left) / bins - 1), y: y(count), height: bottom - y(count), class: "bar" });
    root.append(mark(bar, `${count} models, ${number(low + bin * size, 2)} to ${number(low + (bin + 1) * size, 2)} dB`));
  });
  if (!picks.length) return { node: root, query, name: `Distribution of PSNR over ${psnr.length} models` };
  const rank = new Map(part.places.map((place, at) => [place, at]));
  // The few are drawn over the many, of which they are a part.
  for (const [k, places] of picks) {
    for (const place of places) {
      const at = rank.get(place);
      const model = data.models[place];
      const pick = svg("rect", { x: x(psnr[at]) - 1.25, y: bottom + 4, width: 2.5, height: 13, class: `pick top${k}` });
      root.append(mark(pick, `${shortModel(model)}\ntop ${k} of ${chosen.score}\nrank ${at + 1}, ${number(psnr[at], 2)} dB`,
        () => one(fillQuery(data.queries.model, { ...chosen, model }))));
    }
  }
  const head = el("p", { class: "key" }, el("span", {}, "picks of ", el("strong", {}, chosen.score)),
    ...[...picks].reverse().map(([k, places]) => pickKey(k, k - places.length)));
  return {
    head, node: root, query: `${query}\n${fillQuery(data.queries.picks, chosen)}`,
    name: `Distribution of PSNR over ${psnr.length} models, and the picks of ${chosen.score}`,
  };
}

/** The kind of upsampling of a model; nothing for a named network. */
const kindOf = (model) => (model.includes("/") ? model.split("/")[0].split("-")[0] : "");

const fillOf = (kind) => (kind ? colour(data.kinds.indexOf(kind)) : "var(--quiet)");

function kindKey(kind) {
  return el("span", {}, svg("svg", { width: 14, height: 14, "aria-hidden": "true" },
    svg("circle", { cx: 7, cy: 7, r: 4, class: "point", fill: fillOf(kind) })), kind || "named network");
}

function scatterFigure(width, one) {
  const pair = pairOf(data.pairs);
  const part = pairOf(data.scores);
  const values = part?.values?.[chosen.score];
  if (!pair?.places.length || !values) return { reason: "the values of single models are not in this page, or there are none" };
  const [low, high, text] = values;
  const levels = unpack(text);
  const points = pair.places
    .map((place, rank) => ({ place, rank, level: levels[place], psnr: pair.data[0][rank] }))
    .filter((point) => point.level !== 65535)
    .map((point) => ({ ...point, score: low + (point.level / 65534) * (high - low) }));
  const [top, bottom, left, right] = [24, 260, 44, width - 14];
  const root = canvas(width, bottom + 42);
  const padded = ([a, b]) => [a - (b - a) * 0.04, b + (b - a) * 0.04];
  const across = padded([low, high === low ? low + 1 : high]);
  const up = padded(extent(points.map((point) => point.psnr)));
  const x = scale(...across, left, right);
  const y = scale(...up, bottom, top);
  const row = records(data.tables.correlations).find((other) =>
    other.score === chosen.score && other.image === chosen.image && other.task === chosen.task);
  const good = row?.direction ? ` (${row.direction} is better)` : "";
  root.append(axisLeft(y, up, left, right, data.facts.by_words, 5), axisBelow(x, across, bottom, bottom, chosen.score + good, width / 110));
  // The one score that is computed from the benchmark and not stored in it.
  const line = chosen.score === "mean_rank_elsewhere" ? data.queries.elsewhere : data.queries.score;
  const there = new Set(points.map((point) => kindOf(data.models[point.place])));
  for (const point of points) {
    const model = data.models[point.place];
    const dot = svg("circle", { cx: x(point.score), cy: y(point.psnr), r: 3.2, class: "point", fill: fillOf(kindOf(model)) });
    root.append(mark(dot, `${shortModel(model)}\nrank ${point.rank + 1}, ${number(point.psnr, 2)} dB, score ${point.score.toPrecision(4)}`,
      () => one(fillQuery(line, { ...chosen, model }))));
  }
  const head = el("p", { class: "key" }, el("strong", {}, chosen.score),
    row ? el("span", {}, row.tau == null ? row.reason ?? ""
      : `${chosen.image}: ${row.direction ? "" : "raw "}τ = ${number(directed(row).value, 3, true)}`
        + `${inBrackets(directed(row).low, directed(row).high)}${withP("p max", row.p_max)}, n = ${row.n}`) : null,
    ...[...data.kinds, ""].filter((kind) => there.has(kind)).map(kindKey));
  return { head, node: root, query: row ? fillQuery(data.tables.correlations.row, row) : "", name: `${chosen.score} against PSNR, ${points.length} models` };
}
