// Squares of coloured numbers: scores against scores, images against images, skips.

// Pixels of a cell that a line of small text fits beside.
const NARROWEST = 11;

// Full strength would leave too little contrast with the numbers on it.
const STRONGEST = 0.8;

/**
 * A square of cells. `rows` and `heads` name them, `value(i, j)` may be null, `reach` is the value
 * of full colour, `hover(i, j)` the text of a cell, `click(i, j)` hears of it, `own` outlines the
 * diagonal.
 */
function heatmap({ width, rows, heads, value, reach, hover, click, digits = 2, most = 44, note, own = false }) {
  const size = rows.length;
  const left = Math.ceil(Math.max(...rows.map((row) => textWidth(row, 11.5)))) + 10;
  // Narrower cells than their lines of text are scrolled to instead.
  const cell = Math.max(NARROWEST, Math.min(most, Math.floor((width - left - 2) / size)));
  const top = 22;
  const root = canvas(Math.max(left + cell * size + 2, note ? left + textWidth(note, 12) : 0), top + cell * size + (note ? 26 : 4));
  root.classList.add("heat");
  const numbers = cell >= 24;
  const letters = cell < 32 ? "tight value" : "value";
  rows.forEach((row, i) => {
    const y = top + i * cell;
    root.append(label(left - 8, y + cell / 2 + 4, row, { "text-anchor": "end", class: cell < 14 ? "small" : null }));
    // Numbers of narrow columns would touch each other.
    if (cell >= 20 || i === 0 || (i + 1) % 5 === 0) {
      root.append(label(left + (i + 0.5) * cell, top - 7, heads[i], { "text-anchor": "middle", class: "small" }));
    }
    rows.forEach((_, j) => {
      const found = value(i, j);
      const x = left + j * cell;
      const strength = found === null ? 0 : Math.min(1, Math.abs(found) / reach) * STRONGEST;
      const square = svg("rect", {
        x: x + 0.5, y: y + 0.5, width: cell - 1, height: cell - 1, rx: 1.5,
        class: `${found === null ? "blank" : found < 0 ? "negative" : "positive"}${own && i === j ? " own" : ""}`,
        "fill-opacity": found === null ? null : strength.toFixed(3),
      });
      root.append(square);
      if (found === null) return;
      square.dataset.column = j;
      mark(square, hover(i, j), () => click(i, j));
      if (numbers) {
        root.append(label(x + cell / 2, y + cell / 2 + 3.5,
          number(found, digits).replace(/^(−?)0\./, "$1."), { "text-anchor": "middle", class: letters }));
      }
    });
  });
  if (note) root.append(label(left, top + size * cell + 18, note, { class: "title" }));
  return root;
}

function resemblance(width, one) {
  const query = fillQuery(data.queries.resemblance, chosen);
  const part = pairOf(data.scores);
  if (!part) return { reason: "no scores of this image and task" };
  const { names } = part;
  const tau = (i, j) => (i === j ? 1 : part.taus[(Math.max(i, j) * (Math.max(i, j) - 1)) / 2 + Math.min(i, j)]);
  const node = heatmap({
    width,
    rows: names.map((name, i) => `${name}  ${i + 1}`),
    heads: names.map((_, i) => String(i + 1)),
    value: tau,
    reach: 1,
    most: 30,
    note: "orange: τ above 0, blue: below; full colour at ±1",
    hover: (i, j) => `${names[i]} and ${names[j]}: τ = ${number(tau(i, j), 3, true)}`,
    click: (i, j) => one(`${query}.loc["${escaped(names[i])}", "${escaped(names[j])}"]`),
  });
  return { node, query, name: `Kendall's tau between ${names.length} scores, ${chosen.image} ${chosen.task}` };
}

function transfer(width, one) {
  const query = fillQuery(data.queries.transfer, chosen);
  const part = data.transfer.find((other) => other.task === chosen.task);
  if (part.reason) return { reason: part.reason, query };
  const tau = (i, j) => (i === j ? null : part.taus[i][j]);
  const node = heatmap({
    width: Math.min(width, 560),
    rows: part.images.map((image, i) => `${image}  ${i + 1}`),
    heads: part.images.map((_, i) => String(i + 1)),
    value: tau,
    reach: 1,
    hover: (i, j) => `${part.images[i]} and ${part.images[j]}: τ = ${number(tau(i, j), 3, true)}`,
    click: (i, j) => one(`${query}.loc["${escaped(part.images[i])}", "${escaped(part.images[j])}"]`),
    note: "τ between true rankings",
  });
  return { node, query, name: `Kendall's tau between the true rankings of ${part.images.length} images` };
}

function matrix(width, one) {
  const query = fillQuery(data.queries.matrix, chosen);
  const part = data.matrices.find((other) => other.task === chosen.task);
  const mine = part.scores?.[chosen.score];
  if (!mine) {
    return { reason: part.reason ?? part.refused[chosen.score] ?? `${chosen.score ?? "no score"} is not compared over images; choose another score` };
  }
  const { images, taus } = mine;
  const tau = (i, j) => taus[i * images.length + j] / 1000;
  const node = heatmap({
    width: Math.min(width, 560),
    rows: images.map((image, i) => `${image}  ${i + 1}`),
    heads: images.map((_, i) => String(i + 1)),
    value: tau,
    reach: Math.max(...taus.map(Math.abs), 1) / 1000,
    own: true,
    hover: (i, j) => `score on ${images[i]}, PSNR on ${images[j]}: directed τ = ${number(tau(i, j), 3, true)}`,
    click: (i, j) => one(`${query}.loc["${escaped(images[i])}", "${escaped(images[j])}"]`),
    note: "down: score on, across: PSNR on",
  });
  const head = el("p", { class: "key" }, el("strong", {}, chosen.score), el("span", {}, "directed τ"));
  return { head, node, query, name: `Directed tau of ${chosen.score} on one image with PSNR on another` };
}

function skips(width, one) {
  const part = data.tables.attributes;
  const rows = records(part).filter((row) => row.image === chosen.image && row.task === chosen.task);
  const here = rows.filter((row) => row.attribute === "skip" && row.effect != null);
  if (!here.length) return { reason: whyNone(part, rows, "effect", "no skip has 5 models with and 5 without it") };
  const of = (i, j) => here.find((row) => row.level === `${i + 1}<-${j + 1}`) ?? null;
  const reach = Math.max(...here.map((row) => Math.abs(row.effect)), 1e-6);
  const node = heatmap({
    width: Math.min(width, 330),
    rows: ["1", "2", "3", "4", "5"].map((level) => `decoder ${level}`),
    heads: ["1", "2", "3", "4", "5"],
    value: (i, j) => of(i, j)?.effect ?? null,
    reach,
    most: 46,
    hover: (i, j) => {
      const row = of(i, j);
      return `${row.level.replace("<-", " ← ")}: ${number(row.effect, 2, true)} dB`
        + inBrackets(row.low, row.high) + withP("adjusted p", row.p_max);
    },
    click: (i, j) => one(fillQuery(part.row, of(i, j))),
    note: "skips: effect in dB, columns: encoder level",
  });
  return { node, query: part.query, name: "Effect of each of the 25 skips on PSNR" };
}
