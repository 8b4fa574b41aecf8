"use strict";

// Charts: each figure holds its Plotly data; colours are names of the style sheet, looked up for light or dark.
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const coloured = (part) => {
  if (typeof part === "string") return part.startsWith("var(") ? css(part.slice(4, -1)) : part;
  if (Array.isArray(part)) return part.map(coloured);
  if (part && typeof part === "object") {
    return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, coloured(value)]));
  }
  return part;
};

const axis = {
  automargin: true, fixedrange: true, gridcolor: "var(--line)", linecolor: "var(--line)", zerolinecolor: "var(--line)",
  tickcolor: "var(--line)", title: {font: {size: 12}},
};
const look = {
  autosize: true, dragmode: false, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
  font: {family: "system-ui, sans-serif", size: 12, color: "var(--muted)"},
  margin: {l: 8, r: 8, t: 8, b: 8}, xaxis: axis, yaxis: axis, separators: ".,",
  legend: {orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "normal"},
  hoverlabel: {bgcolor: "var(--ink)", bordercolor: "var(--ink)", font: {color: "var(--surface)"}, namelength: -1},
};

function draw(figure) {
  const {data, layout} = JSON.parse(figure.querySelector("script").textContent);
  const plot = figure.querySelector(".plot");
  const template = {layout: coloured(look)};
  Plotly.react(plot, coloured(data), {...coloured(layout), template}, {displayModeBar: false, responsive: true});
  if (plot.dataset.drawn) return;
  plot.dataset.drawn = "yes";
  plot.on("plotly_treemapclick", ({points: [{id}]}) => {
    if (!id.startsWith("segment/")) return true;
    location.hash = id;
    return false;
  });
}

const whenNear = new IntersectionObserver((entries) => {
  for (const {target, isIntersecting} of entries) {
    if (!isIntersecting) continue;
    whenNear.unobserve(target);
    draw(target);
  }
}, {rootMargin: "600px"});
const figures = () => [...document.querySelectorAll("figure.chart")];
const redraw = () => figures().filter((figure) => figure.querySelector("[data-drawn]")).forEach(draw);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
addEventListener("beforeprint", () => figures().forEach(draw));

// Tables: sorted by their headings, searched, and shown up to a number of rows.
function equip(holder) {
  const body = holder.querySelector("tbody");
  const headings = [...holder.querySelectorAll("thead th")];
  const more = holder.querySelector(".more");
  const rows = [...body.rows];
  const text = new Map();
  const textOf = (row) => text.get(row) ?? text.set(row, row.textContent.toLowerCase()).get(row);
  const keyOf = (cell) => {
    const key = cell.dataset.sort ?? cell.textContent;
    return cell.classList.contains("figure") && key !== "" && !isNaN(key) ? Number(key) : key;
  };
  let limit = Math.min(holder.dataset.rowsAtFirst, innerWidth < 600 ? 8 : Infinity);
  let words = [];

  function show() {
    const found = words.length ? rows.filter((row) => words.every((word) => textOf(row).includes(word))) : rows;
    const shown = new Set(found.slice(0, limit));
    rows.forEach((row) => { row.hidden = !shown.has(row); });
    more.hidden = found.length <= limit && !words.length;
    more.querySelector("span").textContent = `${shown.size.toLocaleString("en")} of ${found.length.toLocaleString("en")} rows`;
    more.querySelector("button").hidden = found.length <= limit;
  }

  headings.forEach((heading, column) => {
    if (!heading.textContent) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const usual = heading.classList.contains("figure") ? "descending" : "ascending";
      const other = usual === "ascending" ? "descending" : "ascending";
      const order = heading.getAttribute("aria-sort") === usual ? other : usual;
      headings.forEach((one) => one.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      const collate = new Intl.Collator("en", {numeric: true}).compare;
      const keys = new Map(rows.map((row) => [row, keyOf(row.cells[column])]));
      rows.sort((first, second) => {
        const [one, two] = [keys.get(first), keys.get(second)];
        if (one === "" || two === "") return (one === "") - (two === "");
        return sign * (typeof one === "number" && typeof two === "number" ? one - two : collate(one, two));
      });
      body.append(...rows);
      show();
    });
  });
  more.querySelector("button").addEventListener("click", () => { limit = rows.length; show(); });
  holder.querySelector("input")?.addEventListener("input", ({target}) => {
    words = target.value.toLowerCase().split(/\s+/).filter(Boolean);
    show();
  });
  show();
}

// Cards: the address #segment/<id> opens one.
const dialog = document.querySelector("dialog");
const cards = new Map([...document.querySelectorAll("template")].map((card) => [card.dataset.address, card]));
function route() {
  const template = cards.get(location.hash.slice(1));
  if (!template) {
    if (dialog.open) dialog.close();
    return;
  }
  const card = dialog.querySelector(".card");
  card.querySelectorAll("[data-drawn]").forEach((plot) => Plotly.purge(plot));
  card.replaceChildren(template.content.cloneNode(true));
  card.querySelectorAll(".table").forEach(equip);
  if (!dialog.open) dialog.showModal();
  dialog.scrollTop = 0;
  card.querySelectorAll("figure.chart").forEach(draw);
}
dialog.addEventListener("close", () => {
  if (location.hash.startsWith("#segment/")) history.replaceState(null, "", location.pathname + location.search);
});
dialog.querySelector(".close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", ({target}) => { if (target === dialog) dialog.close(); });
addEventListener("hashchange", route);

document.querySelectorAll("main .table").forEach(equip);
figures().forEach((figure) => whenNear.observe(figure));
route();
