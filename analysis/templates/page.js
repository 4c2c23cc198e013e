// Put the parts together.

function theme() {
  const button = find("theme");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const show = (isDark) => {
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
    button.textContent = isDark ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark ? "Use light colours" : "Use dark colours");
  };
  show(dark.matches);
  dark.addEventListener("change", () => show(dark.matches));
  button.addEventListener("click", () => show(document.documentElement.dataset.theme !== "dark"));
}

function selects() {
  const pairs = data.pairs;
  for (const name of ["image", "task"]) {
    const node = find(name);
    for (const value of new Set(pairs.map((pair) => pair[name]))) node.append(el("option", { value }, value));
    node.addEventListener("change", () => {
      const other = name === "image" ? "task" : "image";
      const next = { ...chosen, [name]: node.value };
      // Not every image need have every task.
      const held = pairs.filter((pair) => pair[name] === node.value);
      if (!held.some((pair) => pair[other] === next[other])) next[other] = held[0][other];
      choose({ image: next.image, task: next.task });
    });
  }
}

/** The best, the middle and the last model of the chosen pair: curves to begin with. */
function firstModels() {
  const at = data.curves.pairs.findIndex(([image, task]) => image === chosen.image && task === chosen.task);
  const drawn = Object.values(data.curves.kinds)[0]?.[at]?.[0] ?? [];
  const places = [...new Set([0, Math.floor((drawn.length - 1) / 2), drawn.length - 1])];
  return drawn.length ? places.map((place) => data.models[pairOf(data.pairs).places[drawn[place]]]) : [];
}

function overview() {
  const { facts } = data;
  const hours = facts.hours === null ? "" : ` Training took ${facts.hours} hours in all.`;
  const oracle = facts.oracle ? ", the best that an oracle’s stop would reach" : "";
  find("lead").textContent = `${facts.counts.models} models trained on ${facts.counts.images} `
    + `image${facts.counts.images === 1 ? "" : "s"}. PSNR in dB against the ground truth; models are judged by `
    + `${facts.by_words.replace(" (dB)", "")}${oracle}.${hours}`;
  for (const [name, value] of Object.entries(facts.counts)) {
    const word = value === 1 ? name.replace(/s$/, "") : name;
    find("counts").append(el("div", {}, el("dt", {}, word), el("dd", {}, value.toLocaleString("en"))));
  }
  const query = queryBox();
  query.set([...facts.count_queries, ...(facts.hours === null ? [] : [facts.hours_query])].join("\n"));
  find("count-query").append(query.box);
  document.querySelectorAll(".by").forEach((node) => { node.textContent = facts.by_words.replace(" (dB)", ""); });
  find("preamble").textContent = [
    "import dipbench",
    "from dipbench.analysis import correlate, correlate_over_images, kendall",
    "from dipbench.analysis.attributes import attribute_effects",
    "from dipbench.analysis.baselines import mean_rank_elsewhere",
    "from dipbench.analysis.early_stops import stopping_losses",
    "from dipbench.analysis.picking import picked_models",
    "from dipbench.analysis.reliability import score_reliability, seed_reliability",
    "from dipbench.analysis.tables import *",
    "",
    `bench = dipbench.load("${escaped(facts.folder)}")`,
  ].join("\n");
  for (const [title, group] of Object.entries(facts.groups)) {
    find("facts").append(el("h3", {}, title), el("dl", { class: title.includes("SHA") ? "facts hashes" : "facts" },
      ...Object.entries(group).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, String(value))))));
  }
}

function pictures() {
  const { images, observed } = data.pictures;
  const host = find("pictures");
  const made = (url, name) => el("figure", {}, el("img", { src: url, alt: name, loading: "lazy" }), el("figcaption", {}, name));
  host.replaceChildren(
    ...(images[chosen.image] ? [made(images[chosen.image], `${chosen.image}, ground truth`)] : []),
    ...observed.filter(([image]) => image === chosen.image).map(([, task, url]) => made(url, `observed, ${task}`)),
  );
}

function modelPart() {
  const pair = pairOf(data.pairs);
  const query = data.queries.models;
  if (!pair?.places.length) return { query, reason: pair?.reason ?? "no run of this image and task" };
  const names = pair.places.map((place) => data.models[place]);
  const several = pair.data[1].some((value) => value !== null);
  const columns = [
    ["tick", "curve", "tick"], ["rank", "rank", "count", "1 is the best"],
    ["psnr", "PSNR dB", "decibel"], ["model", "model", "model"], ...(several ? [["std", "± seeds", "decibel", "sample standard deviation over the seeds"]] : []),
    ["n", "seeds", "count"], ["iteration", "iteration", "count"], ["regret", "below best", "decibel", "dB"],
  ];
  const [psnr, std, n, iteration, regret] = pair.data;
  const rest = several ? [std, n, iteration, regret] : [n, iteration, regret];
  return { columns, data: [names, names.map((_, at) => at + 1), psnr, names, ...rest], query, row: data.queries.model };
}

function tick(model) {
  const at = chosen.models.indexOf(model);
  const box = el("input", { type: "checkbox", "aria-label": `Draw the curve of ${model}`, checked: at >= 0, disabled: !curveOf(model, curveState.kind) });
  if (at >= 0) box.style.accentColor = colour(at);
  box.addEventListener("click", (event) => event.stopPropagation());
  box.addEventListener("change", () => toggleModel(model));
  return box;
}

function curveNote() {
  const { first, stride, kept } = data.curves;
  const nth = stride === 1 ? "every iteration" : `one in ${stride} iterations from iteration ${first} on`;
  find("curves-note").textContent = `Mean over the seeds, ${nth}, to 0.01 dB; the dot is the highest point shown, `
    + "which lies at or below the mean of each seed’s own best. Point at the plot, or move with the arrow keys, to read the values."
    + (kept === null ? "" : ` Of each image and task ${kept} models are kept here, evenly over the ranks.`);
}

theme();
selects();
chosen.image = data.pairs[0].image;
chosen.task = data.pairs[0].task;
chosen.models = firstModels();
// The best of the stored scores: a baseline is there to be compared with.
const stored = (pairOf(data.scores)?.names ?? []).filter((name) => !data.baselines.includes(name));
chosen.score = data.score ?? records(data.tables.correlations)
  .filter((row) => row.task === chosen.task && row.image === chosen.image && stored.includes(row.score) && typeof row.tau_directed === "number")
  .sort((a, b) => b.tau_directed - a.tau_directed)[0]?.score ?? stored[0] ?? null;
overview();
curveNote();
follow(["image", "task"], () => {
  find("image").value = chosen.image;
  find("task").value = chosen.task;
  document.querySelectorAll(".here").forEach((node) => { node.textContent = `${chosen.image}, ${chosen.task}`; });
  document.querySelectorAll(".here-task").forEach((node) => { node.textContent = chosen.task; });
  pictures();
});
listeners.push([["image", "task"], () => { if (!drawnModels().length) chosen.models = firstModels(); }]);

const both = ["image", "task"];
const fixed = (name) => () => data.tables[name];
makeTable("winners", "Best models", fixed("winners"), { onRow: (row) => choose({ image: row.image, task: row.task }) });
makeTable("coverage", "Coverage", fixed("coverage"));
makeFigure("histogram", [...both, "score"], histogram);
makeTable("models", "Models", modelPart, { redraw: [...both, "models"], tick });
makeFigure("curves", [...both, "models"], curveFigure);
makeTable("iterations", "Best iterations", fixed("iterations"));
makeTable("stopping", "Stopping criteria", fixed("stopping"), { follow: both });
makeFigure("tau", [...both, "score"], tauFigure);
makeFigure("scatter", [...both, "score"], scatterFigure);
makeTable("correlations", "Correlations", fixed("correlations"), { follow: both, sort: "tau_directed", onRow: (row) => choose({ score: row.score }) });
makeTable("averages", "Averages over images", fixed("averages"), { follow: ["task"], sort: "tau_directed", every: "all tasks" });
makeTable("picks", "Picks", fixed("picks"), { follow: both });
makeTable("reliability", "Reliability", fixed("reliability"));
makeTable("score_reliability", "Reliability of the scores", fixed("score_reliability"), { follow: both });
makeFigure("resemblance", both, resemblance);
makeFigure("transfer", ["task"], transfer);
// Of one image each of these would give the same reason again.
find("of-several-images").hidden = data.transfer.every((part) => part.reason);
makeTable("truth", "Seeds and images", fixed("truth"), { follow: ["task"], every: "all tasks" });
makeTable("variance", "Variance of PSNR", fixed("variance"), { follow: ["task"], every: "all tasks" });
makeFigure("specificity", ["task", "score"], specificity);
makeTable("specificity", "Image-specific scores", fixed("specificity"), { follow: ["task"], sort: "advantage", every: "all tasks", onRow: (row) => choose({ score: row.score }) });
makeFigure("matrix", ["task", "score"], matrix);
makeFigure("attributes", both, attributeFigure);
makeFigure("skips", both, skips);
makeTable("attributes", "Attributes", fixed("attributes"), { follow: both });
