"use strict";
// The table of all figures: filter, sort by any run, runs as columns or as rows.
(() => {
  const data = mmdl.data("metrics");
  const host = document.getElementById("metrics-table");
  const AT_ONCE = 60; // rows that are shown at first
  const COLUMNS = 40; // figures that are columns where runs are rows
  const state = { words: "", rowsAreRuns: false, sort: null, sign: -1, all: false };
  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // As the page writes figures elsewhere: four decimals, whole numbers whole.
  const words = (value, figure) => {
    if (value == null) return "not a number";
    const size = Math.abs(value);
    if (size >= 1e9) return value.toExponential(3).replace("e+", "e");
    if (Number.isInteger(value) && !(figure.better && size <= 1)) return value.toLocaleString("en-US");
    if (size >= 1000) return value.toLocaleString("en-US", { maximumFractionDigits: 1 });
    return size >= 1e-3 || size === 0 ? value.toFixed(4) : mmdl.number(value, 3);
  };

  const best = (figure) => {
    const values = figure.cells.flatMap((cell) => (cell && cell[0] != null ? [cell[0]] : []));
    if (!figure.better || values.length < 2 || Math.min(...values) === Math.max(...values)) return null;
    return figure.better === "min" ? Math.min(...values) : Math.max(...values);
  };
  for (const figure of data.figures) figure.best = best(figure);

  const cellOf = (figure, run) => {
    const cell = figure.cells[run];
    if (!cell) return element("td", "number missing", "–");
    const [value, n, low, high] = cell;
    const part = element("td", value == null ? "number missing" : "number", words(value, figure));
    if (value != null && value === figure.best) {
      part.classList.add("best");
      part.title = "the best of these runs";
    }
    const detail = [];
    if (low != null) detail.push(`[${low.toFixed(4)}, ${high.toFixed(4)}]`);
    if (n != null) detail.push(`n = ${n.toLocaleString("en-US")}`);
    if (detail.length) part.append(element("small", "", detail.join("  ")));
    return part;
  };

  const matching = () => {
    const wanted = state.words.toLowerCase().split(/\s+/).filter(Boolean);
    return data.figures.filter(({ name }) => wanted.every((word) => name.toLowerCase().includes(word)));
  };

  const heading = (label, key, run) => {
    const head = element("th", key === "name" ? "" : "number");
    head.scope = "col";
    const button = element("button", "sort");
    button.type = "button";
    if (run !== undefined) button.append(mmdl.palette.swatch(run));
    button.append(label);
    button.addEventListener("click", () => {
      state.sign = state.sort === key ? -state.sign : key === "name" ? 1 : -1;
      state.sort = key;
      draw();
      table.querySelectorAll("thead th button")[[...keys()].indexOf(key)]?.focus();
    });
    if (state.sort === key) head.setAttribute("aria-sort", state.sign > 0 ? "ascending" : "descending");
    head.append(button);
    return head;
  };

  // Rows without a number stay last, whichever way they are sorted.
  const sorted = (rows, value) => {
    if (state.sort === null) return rows;
    const keyed = rows.map((row) => ({ row, key: value(row) }));
    keyed.sort((a, b) => {
      if (a.key == null || b.key == null) return (a.key == null) - (b.key == null);
      if (typeof a.key === "number") return state.sign * (a.key - b.key);
      return state.sign * a.key.localeCompare(b.key, "en", { numeric: true });
    });
    return keyed.map(({ row }) => row);
  };

  const runLabel = (run, at) => {
    const head = element("th");
    head.scope = "row";
    head.append(mmdl.palette.swatch(run), ` ${data.runs[at]}`);
    return head;
  };

  let keys = () => [];

  const draw = () => {
    const figures = matching();
    const body = element("tbody");
    const head = element("tr");
    let shown;
    if (state.rowsAreRuns) {
      const columns = figures.slice(0, COLUMNS);
      keys = () => ["name", ...columns.map(({ name }) => name)];
      head.append(heading("Run", "name"), ...columns.map(({ name }) => heading(name, name)));
      const by = columns.find(({ name }) => name === state.sort);
      const rows = sorted(
        data.runs.map((run, at) => ({ run, at })),
        ({ run, at }) => (state.sort === "name" ? run : (by?.cells[at]?.[0] ?? null)),
      );
      for (const { run, at } of rows) {
        const row = element("tr");
        row.append(runLabel(run, at), ...columns.map((figure) => cellOf(figure, at)));
        body.append(row);
      }
      shown = columns.length;
    } else {
      keys = () => ["name", ...data.runs.keys()];
      head.append(heading("Figure", "name"), ...data.runs.map((run, at) => heading(run, at, run)));
      const rows = sorted(figures, (figure) =>
        state.sort === "name" ? figure.name : (figure.cells[state.sort]?.[0] ?? null),
      );
      shown = state.all ? rows.length : Math.min(rows.length, AT_ONCE);
      for (const figure of rows.slice(0, shown)) {
        const row = element("tr");
        const name = element("th");
        name.append(mmdl.breakable(figure.name));
        name.scope = "row";
        row.append(name, ...data.runs.map((_, at) => cellOf(figure, at)));
        body.append(row);
      }
    }
    const top = element("thead");
    top.append(head);
    table.replaceChildren(top, body);
    count.textContent = shown < figures.length ? `${shown} of ${figures.length} figures` : `${shown} figures`;
    more.hidden = state.rowsAreRuns || shown === figures.length;
  };

  const bar = element("div", "toolbar");
  const search = Object.assign(element("input"), { type: "search", placeholder: "Find: test accuracy …", ariaLabel: "Find figures" });
  search.addEventListener("input", () => {
    Object.assign(state, { words: search.value, all: false });
    draw();
  });
  const turn = element("button", "", "Runs as rows");
  turn.type = "button";
  turn.setAttribute("aria-pressed", "false");
  turn.addEventListener("click", () => {
    Object.assign(state, { rowsAreRuns: !state.rowsAreRuns, sort: null });
    turn.setAttribute("aria-pressed", String(state.rowsAreRuns));
    draw();
  });
  const count = element("span", "muted");
  count.setAttribute("aria-live", "polite");
  bar.append(search, count, turn);
  const frame = element("div", "table wide");
  frame.tabIndex = 0;
  frame.setAttribute("role", "region");
  frame.setAttribute("aria-label", "All figures");
  const table = element("table");
  frame.append(table);
  const more = element("button", "", "Show all");
  more.type = "button";
  more.addEventListener("click", () => {
    state.all = true;
    draw();
  });
  host.append(bar, frame, more);
  draw();
})();
