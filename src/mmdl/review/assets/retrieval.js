"use strict";
// Grids of what fixed queries find, drawn from the items of the browser of predictions.
(() => {
  const mmdl = (window.mmdl ??= {});
  const root = document.getElementById("retrieval-grid");
  if (!root) return;
  const QUERIES = 6;
  const { make, browse } = mmdl;
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const sets = (mmdl.predictionSets ?? []).filter((set) => set.kind === "retrieval");
  const state = { set: 0, run: 0, other: -1, turn: 0 };
  if (!sets.length) {
    root.hidden = true;
    return;
  }

  const options = (select, choices, value) => {
    select.replaceChildren(...choices.map(([key, text]) => make("option", { value: key }, text)));
    select.value = String(value);
  };

  const queries = (set) => {
    const count = Math.min(QUERIES, set.count);
    const apart = set.count / count;
    const found = Array.from({ length: count }, (_, place) => {
      const near = set.all.slice(Math.floor(place * apart), Math.floor((place + 1) * apart));
      // runs keep a part of the images: of each stretch those queries come first of which most can be seen
      const sorted = near.map((row) => [gaps(set, row), row]).sort((one, other) => one[0] - other[0] || one[1] - other[1]);
      return sorted[state.turn % sorted.length][1];
    });
    return [...new Set(found)];
  };

  // Images of a query that are not in the page, whichever run is shown.
  const gaps = (set, row) => {
    const found = set.columns.flatMap((_, column) => (set.raw.pictures ? (set.answers(column, row) ?? []) : []));
    return found.filter((answer) => !answer.image).length + (set.image(row) ? 0 : 100);
  };

  const line = (set, row, column) =>
    make("div.found", {}, make("div.cellhead", {}, browse.runName(set, column, mmdl.palette), browse.outcomeBadge(set, column, row)), browse.answers(set, column, row, 5, 84));

  const draw = () => {
    const set = sets[state.set];
    const columns = set.columns.map((column, place) => [place, column.label]);
    options(part("set"), sets.map((one, place) => [place, one.raw.title]), state.set);
    options(part("run"), columns, state.run);
    options(part("other"), [[-1, "nothing"], ...columns.filter(([place]) => place !== state.run)], state.other);
    part("other").parentElement.hidden = columns.length < 2;
    part("more").hidden = set.count <= QUERIES;
    const shown = queries(set).map((row) => {
      const open = () => mmdl.showPredictions?.({ set: set.raw.name, run: set.columns[state.run].label, item: set.raw.ids[row] });
      const asked = set.raw.pictures
        ? make("span.query", { dir: "auto" }, set.query(row))
        : browse.picture(set.image(row), set.raw.ids[row], 120);
      return make(
        "li",
        {},
        make("button.asking", { type: "button", title: "open this item", onclick: open }, asked),
        make("div", {}, line(set, row, state.run), state.other >= 0 ? line(set, row, state.other) : ""),
      );
    });
    part("queries").replaceChildren(...shown);
  };

  for (const name of ["set", "run", "other"]) {
    part(name).addEventListener("change", (event) => {
      state[name] = Number(event.target.value);
      if (name === "set") Object.assign(state, { run: 0, other: -1, turn: 0 });
      if (state.other === state.run) state.other = -1;
      draw();
    });
  }
  part("more").addEventListener("click", () => {
    state.turn += 1;
    draw();
  });
  draw();
})();
