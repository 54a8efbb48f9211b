"use strict";
// The browser of predictions: filters with counts, two runs side by side, paging, keyboard, a permalink in the hash.
(() => {
  const mmdl = (window.mmdl ??= {});
  const root = document.getElementById("browser");
  if (!root) return;
  const data = JSON.parse(document.getElementById("data-predictions").textContent);
  const { make, browse } = mmdl;
  const PAGE = 24;
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const palette = (mmdl.palette ??= new mmdl.Palette([...new Set(data.sets.flatMap((set) => set.columns.map((c) => c.run)))]));
  const sets = data.sets.map((raw) => new mmdl.PredictionSet(raw, data.images));

  const startOf = (set) => {
    const own = sets[set].columns.map((_, column) => column).filter((column) => !sets[set].columns[column].baseline);
    const b = own[1] ?? -1; // a baseline is compared with when it is chosen
    const plain = { outcome: "", pair: "", groups: {}, predicted: "", rank: "", from: 0, to: 1, query: "", words: null, page: 0 };
    return { set, a: own[0] ?? 0, b, sort: b >= 0 ? "apart" : "mistakes", open: null, active: 0, ...plain };
  };
  let state = startOf(0);
  let shown = [];
  const set = () => sets[state.set];

  // ---- the state as a link ----
  const label = (column) => set().columns[column]?.label;
  const remember = () => {
    const first = startOf(state.set);
    const words = new URLSearchParams();
    const put = (name, value, usual) => value !== usual && words.set(name, value);
    put("set", set().raw.name, sets[0].raw.name);
    put("a", label(state.a), label(first.a));
    const against = (b) => (b === mmdl.EVERY_RUN ? "every run" : (label(b) ?? "none"));
    put("b", against(state.b), against(first.b));
    for (const name of ["outcome", "pair", "predicted", "rank", "query", "sort", "from", "to", "page"]) put(name, String(state[name]), String(first[name]));
    for (const [name, value] of Object.entries(state.groups)) if (value) words.set(`in:${name}`, value);
    if (state.open !== null) words.set("item", set().raw.ids[state.open]);
    const text = words.toString();
    try {
      history.replaceState(null, "", `#predictions${text ? `?${text}` : ""}`);
    } catch {
      // some viewers of files refuse this; the browser works without
    }
  };

  const recall = () => {
    if (!location.hash.startsWith("#predictions?")) return false;
    const words = new URLSearchParams(location.hash.slice("#predictions?".length));
    const named = sets.findIndex((one) => one.raw.name === words.get("set"));
    state = startOf(Math.max(0, named));
    const column = (name) => set().columns.findIndex((one) => one.label === words.get(name));
    if (words.has("a")) state.a = Math.max(0, column("a"));
    if (words.has("b")) state.b = words.get("b") === "every run" ? mmdl.EVERY_RUN : column("b");
    for (const name of ["outcome", "pair", "predicted", "rank", "query", "sort"]) state[name] = words.get(name) ?? state[name];
    for (const name of ["from", "to", "page"]) state[name] = Number(words.get(name) ?? state[name]) || 0;
    for (const [name, value] of words) if (name.startsWith("in:")) state.groups[name.slice(3)] = value;
    const open = set().raw.ids.indexOf(words.get("item") ?? "");
    state.open = open < 0 ? null : open;
    return true;
  };

  // ---- drawing ----
  if (matchMedia("(max-width: 900px)").matches) part("filters").open = false;
  const filters = new mmdl.BrowserFilters(part("filters"), (changes) => change(changes));
  const dialog = new mmdl.ItemDialog(part("dialog"), {
    palette,
    onstep: (by) => step(by, true),
    onclose: () => {
      state.open = null;
      remember();
      focusActive();
    },
  });

  const change = (changes) => {
    Object.assign(state, { page: 0, active: 0 }, changes);
    draw();
    remember();
  };

  const draw = () => {
    state.words = state.query ? state.query.toLowerCase().split(/\s+/).filter(Boolean) : null;
    const chosen = set();
    shown = chosen.sorted(chosen.filtered(state), state);
    const pages = Math.max(1, Math.ceil(shown.length / PAGE));
    state.page = Math.max(0, Math.min(state.page, pages - 1));
    bars();
    filters.draw(chosen, state);
    const rows = shown.slice(state.page * PAGE, (state.page + 1) * PAGE);
    state.active = Math.max(0, Math.min(state.active, rows.length - 1));
    const cards = rows.map((row, place) => browse.card(chosen, row, state, palette, place));
    if (cards.length) cards[state.active].tabIndex = 0;
    part("items").replaceChildren(...cards);
    part("none").hidden = cards.length > 0;
    summary(chosen);
    paging(pages);
  };

  const summary = (chosen) => {
    const parts = [make("strong", {}, `${shown.length.toLocaleString("en-US")} of ${chosen.count.toLocaleString("en-US")} shown`)];
    // where the page holds a part only, the mean of all is that of the run, not of the part
    const whole = shown.length === chosen.count && chosen.raw.total > chosen.count;
    for (const column of state.b >= 0 ? [state.a, state.b] : [state.a]) {
      const { n, mean } = whole ? chosen.columns[column] : chosen.mean(column, shown);
      const score = n ? `${(100 * mean).toFixed(1)}%` : "no score";
      parts.push(make("span.mean", {}, browse.runName(chosen, column, palette), ` ${score}`));
    }
    const copied = () => shown.map((row) => chosen.raw.ids[row]).join("\n");
    part("summary").replaceChildren(...parts, browse.copyButton("copy ids", copied));
    part("note").textContent =
      chosen.raw.total > chosen.count
        ? `The page holds ${chosen.count.toLocaleString("en-US")} of ${chosen.raw.total.toLocaleString("en-US")} items: those that runs disagree on and the most confident mistakes first, and an even selection of the others. Counts are of these; ${whole ? "scores are of all" : "so are scores of a filter"}.`
        : "";
  };

  const options = (select, choices, value) => {
    select.replaceChildren(...choices.map(([key, text]) => make("option", { value: key, selected: String(key) === String(value) }, text)));
    select.value = String(value);
  };

  const bars = () => {
    const columns = set().columns.map((column, place) => [place, column.label]);
    options(part("set"), sets.map((one, place) => [place, one.raw.title]), state.set);
    options(part("a"), columns, state.a);
    options(part("b"), [[-1, "nothing"], ...columns.filter(([place]) => place !== state.a), ...(columns.length > 2 ? [[mmdl.EVERY_RUN, "all of them"]] : [])], state.b);
    part("b").parentElement.hidden = columns.length < 2;
    const name = set().kind === "retrieval" ? "similarity" : "confidence";
    const sorts = { mistakes: `mistakes, highest ${name} first`, apart: "disagreement of the runs", confident: `highest ${name}`, unsure: `lowest ${name}`, worst: "lowest score", best: "highest score", order: "order of the data" };
    options(part("sort"), Object.entries(sorts).filter(([key]) => key !== "apart" || columns.length > 1), state.sort);
    root.dataset.view = state.view ?? "list";
  };

  const paging = (pages) => {
    part("pages").hidden = pages < 2;
    part("where").textContent = `page ${state.page + 1} of ${pages}`;
    part("before").disabled = state.page === 0;
    part("after").disabled = state.page >= pages - 1;
  };

  // ---- moving about ----
  const focusActive = () => {
    const items = part("items").children;
    for (const item of items) item.tabIndex = -1;
    const item = items[state.active];
    if (!item) return;
    item.tabIndex = 0;
    item.focus({ preventScroll: true });
    item.scrollIntoView({ block: "nearest" });
  };

  const step = (by, opened) => {
    const place = state.page * PAGE + state.active + by;
    if (place < 0 || place >= shown.length) return;
    const page = Math.floor(place / PAGE);
    state.active = place % PAGE;
    if (page !== state.page) {
      state.page = page;
      draw();
    }
    if (opened) open(shown[place]);
    else {
      focusActive();
      remember();
    }
  };

  const open = (row) => {
    state.open = row;
    const place = shown.indexOf(row);
    if (place >= 0) {
      if (Math.floor(place / PAGE) !== state.page) {
        state.page = Math.floor(place / PAGE);
        draw();
      }
      state.active = place % PAGE;
    }
    dialog.show(set(), row, place < 0 ? "" : `${(place + 1).toLocaleString("en-US")} of ${shown.length.toLocaleString("en-US")}`, [state.a, state.b]);
    remember();
  };

  part("items").addEventListener("click", (event) => {
    const item = event.target.closest(".item");
    if (!item || String(getSelection())) return;
    state.active = Number(item.dataset.place);
    open(Number(item.dataset.row));
  });
  part("items").addEventListener("focusin", (event) => {
    const item = event.target.closest(".item");
    // a dialog that closes gives the focus back to where it was opened, though another item was reached meanwhile
    if (item && state.open === null) state.active = Number(item.dataset.place);
  });

  // j, k and / work wherever the browser is what one looks at; arrows and Enter only on its items.
  const inView = () => {
    const { top, bottom } = root.getBoundingClientRect();
    return top < innerHeight * 0.6 && bottom > innerHeight * 0.3;
  };
  document.addEventListener("keydown", (event) => {
    if (dialog.isOpen || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest?.("input, select, textarea, [contenteditable]");
    const item = event.target.closest?.("#browser .item");
    if (typing || document.querySelector("dialog[open]") || !(item || inView())) return;
    const by = { j: 1, k: -1, ...(item && { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }) }[event.key];
    if (by !== undefined) step(item ? by : 0, false);
    else if (event.key === "/") part("filters").querySelector("input[type=search]").focus();
    else if (item && (event.key === "Enter" || event.key === " ")) open(Number(item.dataset.row));
    else return;
    event.preventDefault();
  });

  part("set").addEventListener("change", (event) => change(startOf(Number(event.target.value))));
  part("a").addEventListener("change", (event) => {
    const a = Number(event.target.value);
    change({ a, b: a === state.b ? state.a : state.b, predicted: "" });
  });
  part("b").addEventListener("change", (event) => change({ b: Number(event.target.value), pair: "" }));
  part("sort").addEventListener("change", (event) => change({ sort: event.target.value }));
  for (const button of root.querySelectorAll("[data-view-choice]")) {
    button.addEventListener("click", () => {
      state.view = button.dataset.viewChoice;
      for (const other of root.querySelectorAll("[data-view-choice]")) other.setAttribute("aria-pressed", String(other === button));
      draw();
    });
  }
  const turn = (by) => {
    Object.assign(state, { page: state.page + by, active: 0 });
    draw();
    remember();
    part("summary").scrollIntoView({ block: "nearest" });
  };
  part("before").addEventListener("click", () => turn(-1));
  part("after").addEventListener("click", () => turn(1));

  // At once: the focus that follows would stop a smooth move on its way.
  const toView = () => (root.closest("section") ?? root).scrollIntoView({ behavior: "instant" });

  // Other parts of the page choose items: mmdl.showPredictions({ set, run, groups, predicted, item }), or an element
  // with the same as JSON in data-predictions, which is clicked.
  mmdl.showPredictions = ({ set: name, kind, metric, run, other, groups, predicted, pair, item }) => {
    const fits = (one) =>
      (name === undefined || one.raw.name === name) && (kind === undefined || one.kind === kind) && (metric === undefined || metric.endsWith(`/${one.raw.metric}`));
    const place = sets.findIndex(fits);
    if (place < 0) return false;
    state = { ...startOf(place), view: state.view };
    const column = (wanted) => set().columns.findIndex((one) => one.label === wanted);
    if (run !== undefined && column(run) >= 0) state.a = column(run);
    if (other !== undefined) state.b = column(other);
    if (state.b === state.a) state.b = -1;
    Object.assign(state, { groups: groups ?? {}, predicted: predicted ?? "", pair: pair ?? "" });
    draw();
    remember();
    toView();
    const row = item === undefined ? -1 : set().raw.ids.indexOf(item);
    if (row >= 0) open(row);
    else focusActive();
    return true;
  };
  mmdl.predictionSets = sets;
  document.addEventListener("click", (event) => {
    const wanted = event.target.closest?.("[data-predictions]")?.dataset.predictions;
    if (wanted) mmdl.showPredictions(JSON.parse(wanted));
  });

  addEventListener("hashchange", () => {
    if (recall()) begin();
  });
  const begin = () => {
    draw();
    const row = state.open;
    toView();
    if (row !== null) open(row);
  };
  if (recall()) begin();
  else draw();
})();
