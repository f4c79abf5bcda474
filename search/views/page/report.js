// Draws the charts, and lets a trial be found: clicked in a chart or in the table it is marked in all of them.
"use strict";
(() => {
  const page = JSON.parse(document.getElementById("data").textContent);
  const table = document.getElementById("table"), body = table.tBodies[0];
  const views = [];
  let chosen = -1; // a trial

  function unpack(columns) { // from a list a column to an object a row
    const names = Object.keys(columns), length = names.length ? columns[names[0]].length : 0;
    return Array.from({ length }, (_, at) => Object.fromEntries(names.map((name) => [name, columns[name][at]])));
  }
  const trials = unpack(page.trials), byNumber = new Map(trials.map((row) => [row.trial, row]));
  for (const row of trials) row.tip = `trial ${row.trial}`;
  const epochs = unpack(page.epochs).map((row) => ({ ...byNumber.get(row.trial), ...row }));

  const config = {
    aria: false, // the holder says in words what is drawn
    background: "transparent", font: getComputedStyle(document.body).fontFamily,
    view: { stroke: null },
    axis: { labelColor: "var(--soft)", titleColor: "var(--ink)", gridColor: "var(--line)", domainColor: "var(--faint)",
            tickColor: "var(--faint)", titleFontWeight: "normal", titleLimit: 260, labelLimit: 120, labelFontSize: 12, titleFontSize: 12 },
    legend: { labelColor: "var(--soft)", titleColor: "var(--ink)", titleFontWeight: "normal", labelFontSize: 12, titleFontSize: 12 },
  };

  function tell(tip, escape) { // of a trial all that there is, else the text
    const row = byNumber.get(Number(/^trial (\d+)$/.exec(tip)?.[1]));
    if (!row) return escape(tip);
    const facts = [["trial", row.trial], ["state", row.state], [page.metric, row.text],
                   ...page.others.map((name, at) => [name, row[`x${at + 1}`] ?? ""]), ["best epoch", row.best_epoch],
                   ["epochs", row.epochs], ...page.names.map((name, at) => [name, row[`t${at}`] ?? "off"])];
    return `<table>${facts.map(([name, value]) => `<tr><td class="key">${escape(String(name))}</td>` +
      `<td class="value">${escape(String(value))}</td></tr>`).join("")}</table>`;
  }

  async function draw(holder) {
    const { spec, data, alt } = page.charts[holder.dataset.chart];
    const embedded = await vegaEmbed(holder, { ...spec, description: alt, datasets: { trials, epochs, ...data }, config },
      { renderer: "svg", actions: false, tooltip: { theme: "page", formatTooltip: tell } });
    embedded.view.signal("chosen", chosen).run();
    embedded.view.addEventListener("click", (event, item) => {
      if (item && item.datum && item.datum.trial >= 0) choose(item.datum.trial);
    });
    for (const child of holder.children) child.setAttribute("aria-hidden", "true");
    views.push(embedded.view);
    holder.dataset.drawn = "yes";
  }

  function choose(trial) { // again: none
    chosen = chosen === trial ? -1 : trial;
    for (const view of views) view.signal("chosen", chosen).runAsync();
    for (const row of body.rows) {
      const is = Number(row.dataset.trial) === chosen;
      row.classList.toggle("chosen", is);
      row.querySelector(".choose").setAttribute("aria-pressed", is);
    }
  }

  function key(row, column) {
    const cell = row.cells[column], text = cell.dataset.sort ?? cell.textContent;
    const number = text.trim() === "" ? NaN : Number(text);
    return Number.isNaN(number) ? text : number;
  }

  function order(a, b) { // numbers before texts, what is empty last
    if (a === "" || b === "") return null;
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return a < b ? -1 : a > b ? 1 : 0;
  }

  function sort(head) {
    const column = head.cellIndex, direction = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const each of table.tHead.rows[0].cells) each.setAttribute("aria-sort", "none");
    head.setAttribute("aria-sort", direction === 1 ? "ascending" : "descending");
    const rows = [...body.rows].map((row) => [key(row, column), row]);
    rows.sort(([a], [b]) => order(a, b) === null ? (a === "") - (b === "") : direction * order(a, b));
    body.append(...rows.map(([, row]) => row));
  }

  function filter() {
    const words = document.getElementById("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
    const states = new Set([...document.querySelectorAll("input[name=state]:checked")].map((box) => box.value));
    let shown = 0;
    for (const row of body.rows) {
      const text = [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase();
      row.hidden = !(states.has(row.dataset.state) && words.every((word) => text.includes(word)));
      shown += !row.hidden;
    }
    document.getElementById("count").textContent = `${shown} of ${page.total}`;
  }

  function reveal() { // a link to a failure opens it
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) target.open = true;
  }

  for (const head of table.tHead.rows[0].cells) head.firstElementChild.addEventListener("click", () => sort(head));
  body.addEventListener("click", (event) => {
    const button = event.target.closest(".choose");
    if (button) choose(Number(button.closest("tr").dataset.trial));
  });
  document.querySelector(".filter").addEventListener("input", filter);
  document.querySelector(".filter").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", reveal);
  choose(page.front);
  reveal();
  (async () => {
    for (const holder of document.querySelectorAll("[data-chart]")) {
      try {
        await draw(holder);
      } catch (error) { // costs this chart, not those below it
        console.error(error);
        holder.textContent = "This chart could not be drawn.";
      }
    }
    document.documentElement.dataset.drawn = "all";
  })();
})();
