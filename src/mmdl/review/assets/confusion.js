"use strict";
// Confusion of classes: a heat map, or lists where there are too many classes; a click shows the items.
(() => {
  const mmdl = (window.mmdl ??= {});
  const root = document.getElementById("confusion-view");
  if (!root) return;
  const tables = JSON.parse(document.getElementById("data-confusion").textContent);
  const { make } = mmdl;
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const state = { table: 0, run: 0, minus: -1, unit: "count", sort: {} };
  const whole = (n) => n.toLocaleString("en-US");
  const signed = (n, text) => (n > 0 ? `+${text}` : text);

  const options = (select, choices, value) => {
    select.replaceChildren(...choices.map(([key, text]) => make("option", { value: key }, text)));
    select.value = String(value);
  };

  const show = (one, other) => {
    const table = tables[state.table];
    const found = mmdl.showPredictions?.({ set: table.set, kind: table.kind, run: table.runs[state.run], other: table.runs[state.minus], groups: { [table.group]: one }, predicted: other });
    if (!found) part("note").textContent = "The items are not in this page.";
  };

  // ---- a matrix ----
  const dense = (table, run) => {
    const counts = table.classes.map(() => new Array(table.classes.length).fill(0));
    for (const [one, other, n] of table.cells[run]) counts[one][other] = n;
    return counts;
  };

  const sum = (values) => values.reduce((total, value) => total + value, 0);

  const shares = (counts) =>
    counts.map((row) => {
      const total = sum(row);
      return row.map((n) => (total ? n / total : 0));
    });

  const matrix = (table) => {
    const counts = dense(table, state.run);
    const other = state.minus >= 0 ? dense(table, state.minus) : null;
    const part = shares(counts);
    const apart = other && shares(other);
    const value = (one, two) => {
      if (state.unit === "share") return part[one][two] - (apart ? apart[one][two] : 0);
      return counts[one][two] - (other ? other[one][two] : 0);
    };
    const text = (found) => {
      if (state.unit === "share") return found === 0 ? "" : (other ? signed(found, (100 * found).toFixed(0)) : (100 * found).toFixed(found < 0.1 ? 1 : 0));
      return found === 0 ? "" : other ? signed(found, whole(found)) : whole(found);
    };
    // the shade is that of the row's share, so that rare classes are seen too; of a difference, of its share of the row
    const shade = (one, two) => {
      const strength = other ? part[one][two] - apart[one][two] : part[one][two];
      const good = one === two ? strength > 0 : other && strength < 0;
      const size = Math.min(1, Math.abs(strength) * (other ? 4 : one === two ? 1 : 2.5));
      if (!size) return "";
      return `background:color-mix(in srgb, var(${good ? "--ok" : "--bad"}) ${(8 + 72 * size).toFixed(0)}%, transparent)${size > 0.62 ? ";color:var(--on-strong)" : ""}`;
    };
    const names = table.classes;
    const head = make("tr", {}, make("td.corner", {}, "true ↓ predicted →"), ...names.map((name) => make("th", { scope: "col", title: name }, make("span", { dir: "auto" }, name))), make("th", { scope: "col" }, make("span", {}, "recall")));
    const rows = counts.map((row, one) => {
      const total = sum(row);
      const cells = row.map((n, two) => {
        const before = other ? `, ${table.runs[state.minus]}: ${other[one][two]}` : "";
        const title = `${names[one]} taken for ${names[two]}: ${n} of ${total}${before}`;
        const empty = !n && !(other && other[one][two]);
        return make(
          `td${one === two ? ".diagonal" : ""}`,
          { style: shade(one, two) },
          empty ? "" : make("button", { type: "button", tabindex: "-1", "data-at": `${one},${two}`, title, "aria-label": title, onclick: () => show(names[one], names[two]) }, text(value(one, two))),
        );
      });
      const recall = total ? `${((100 * row[one]) / total).toFixed(0)}%` : "–";
      return make("tr", {}, make("th", { scope: "row", title: names[one] }, make("span", { dir: "auto" }, names[one])), ...cells, make("td.number.muted", { title: `${row[one]} of ${total}` }, recall));
    });
    const precisions = names.map((_, two) => {
      const total = sum(counts.map((row) => row[two]));
      return make("td.muted", { title: `${counts[two][two]} of ${total}` }, total ? `${((100 * counts[two][two]) / total).toFixed(0)}%` : "–");
    });
    const foot = make("tr", {}, make("th", { scope: "row" }, make("span", {}, "precision")), ...precisions, make("td.number", {}));
    const made = make("table.heat", { "aria-label": "Confusion matrix" }, make("thead", {}, head), make("tbody", {}, ...rows), make("tfoot", {}, foot));
    const first = made.querySelector("button");
    if (first) first.tabIndex = 0;
    made.addEventListener("keydown", (event) => arrows(made, event));
    return make("div.table.heatbox", { role: "region", "aria-label": "Confusion matrix" }, made);
  };

  // One stop for the tab key; arrows go to the next cell that has something in it.
  const arrows = (made, event) => {
    const [down, right] = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key] ?? [0, 0];
    const at = event.target.dataset?.at?.split(",").map(Number);
    if (!at || (!down && !right)) return;
    event.preventDefault();
    const size = tables[state.table].classes.length;
    for (let [one, two] = [at[0] + down, at[1] + right]; one >= 0 && two >= 0 && one < size && two < size; one += down, two += right) {
      const next = made.querySelector(`[data-at="${one},${two}"]`);
      if (!next) continue;
      event.target.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
      return;
    }
  };

  // ---- lists ----
  const list = (caption, columns, rows, left) => {
    const sort = state.sort[caption];
    const sorted = sort ? [...rows].sort((one, other) => sort.way * compare(one.keys[sort.by], other.keys[sort.by])) : rows;
    const head = columns.map((name, by) => {
      const way = sort?.by === by ? (sort.way > 0 ? "ascending" : "descending") : null;
      const turn = () => {
        state.sort[caption] = { by, way: sort?.by === by ? -sort.way : typeof rows[0]?.keys[by] === "string" ? 1 : -1 };
        draw();
      };
      return make(`th${by > rows.text ? ".number" : ""}`, { scope: "col", "aria-sort": way }, make("button.sort", { type: "button", onclick: turn }, name));
    });
    const body = sorted.map(({ cells, onclick, title }) =>
      make("tr", {}, ...cells.map((cell, place) => make(typeof cell === "string" ? "td" : "td.number", { dir: typeof cell === "string" ? "auto" : null }, place === 0 ? make("button.link", { type: "button", title, onclick }, cell) : (cell?.text ?? cell)))),
    );
    return make(
      "div.listed",
      {},
      make("h3", {}, caption),
      make("div.table.long", { tabindex: "0", role: "region", "aria-label": caption }, make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body))),
      left ? make("p.note", {}, `${whole(left)} more are not in this page.`) : "",
    );
  };

  const compare = (one, other) => (typeof one === "string" ? one.localeCompare(other, "en", { numeric: true }) : (one ?? -1) - (other ?? -1));
  const share = (part, of) => (of ? part / of : null);
  const cell = (value) => ({ text: value === null ? "–" : `${(100 * value).toFixed(1)}%` });

  const lists = (table) => {
    const { run, minus } = state;
    const pairs = table.pairs
      .filter(([, , n]) => n[run] || (minus >= 0 && n[minus]))
      .map(([one, other, n]) => {
        const extra = minus >= 0 ? [n[minus], n[run] - n[minus]] : [];
        return { cells: [one, other, { text: whole(n[run]) }, ...extra.map((value, at) => ({ text: at ? signed(value, whole(value)) : whole(value) }))], keys: [one, other, n[run], ...extra], onclick: () => show(one, other), title: "show these items" };
      })
      .sort((one, other) => Math.abs(other.keys.at(-1)) - Math.abs(one.keys.at(-1)));
    const worst = table.worst.map(([name, every]) => {
      const [right, of, predicted] = every[run];
      const extra = minus >= 0 ? [share(every[minus][0], every[minus][1])] : [];
      const values = [share(right, of), share(right, predicted), ...extra];
      return { cells: [name, { text: whole(of) }, ...values.map(cell)], keys: [name, of, ...values], onclick: () => show(name, ""), title: "show the items of this class" };
    });
    worst.sort((one, other) => (one.keys[2] ?? 2) - (other.keys[2] ?? 2) || other.keys[1] - one.keys[1]);
    const names = table.runs;
    const second = minus >= 0 ? [names[minus], "difference"] : [];
    pairs.text = 1;
    worst.text = 0;
    return make(
      "div.lists",
      {},
      list("Most confused", ["true", "taken for", minus >= 0 ? names[run] : "times", ...second], pairs, table.left[0]),
      list("Classes, lowest recall first", ["class", "n", "recall", "precision", ...(minus >= 0 ? [`recall of ${names[minus]}`] : [])], worst, table.left[1]),
    );
  };

  const draw = () => {
    const table = tables[state.table];
    options(part("table"), tables.map((one, place) => [place, one.title]), state.table);
    part("table").parentElement.hidden = tables.length < 2;
    options(part("run"), table.runs.map((name, place) => [place, name]), state.run);
    options(part("minus"), [[-1, "nothing"], ...table.runs.map((name, place) => [place, name]).filter(([place]) => place !== state.run)], state.minus);
    part("minus").parentElement.hidden = table.runs.length < 2;
    part("units").hidden = !table.classes;
    part("note").textContent = table.classes
      ? `${table.classes.length} ${table.group === "class" ? "classes" : "answers; the true one is the most common reference"}. A click on a cell shows its items.`
      : `${whole(table.total)} ${table.group === "class" ? "classes" : "answers"}: too many for a matrix, so the most confused pairs and the classes with the lowest recall stand here.`;
    part("view").replaceChildren(table.classes ? matrix(table) : lists(table));
  };

  const choose = (name) => part(name).addEventListener("change", (event) => {
    state[name] = Number(event.target.value);
    if (name === "table") Object.assign(state, { run: 0, minus: -1 });
    if (state.minus === state.run) state.minus = -1;
    draw();
  });
  ["table", "run", "minus"].forEach(choose);
  for (const button of part("units").children) {
    button.addEventListener("click", () => {
      state.unit = button.dataset.unit;
      for (const one of part("units").children) one.setAttribute("aria-pressed", String(one === button));
      draw();
    });
  }
  draw();
})();
