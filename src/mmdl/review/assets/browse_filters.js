"use strict";
// The filters of the browser of predictions: each choice with how many items it would show.
(() => {
  const mmdl = (window.mmdl ??= {});

  const OUTCOMES = [["right", "right"], ["partly", "partly right"], ["wrong", "wrong"], ["none", "no reference"], ["missing", "not answered"]];
  const CHIPS = 8; // a group with more values is a list to choose from
  const LISTED = 500;
  const BINS = 20;

  // mmdl.BrowserFilters(host, onchange(changes)) ; draw(set, state)
  class BrowserFilters {
    constructor(host, onchange) {
      Object.assign(this, { host, onchange });
      this.search = host.querySelector("input[type=search]");
      this.choices = host.querySelector("[data-part=choices]");
      this.range = host.querySelector("[data-part=range]");
      let waiting = 0;
      this.search.addEventListener("input", () => {
        clearTimeout(waiting);
        waiting = setTimeout(() => onchange({ query: this.search.value.trim() }), 120);
      });
      this.search.addEventListener("keydown", (event) => {
        if (event.key === "Escape" && this.search.value) {
          event.preventDefault();
          this.search.value = "";
          onchange({ query: "" });
        }
      });
      host.querySelector("[data-part=clear]").addEventListener("click", () =>
        onchange({ outcome: "", pair: "", groups: {}, predicted: "", rank: "", from: 0, to: 1, query: "" }),
      );
      for (const input of this.range.querySelectorAll("input")) {
        input.addEventListener("input", () => {
          const [from, to] = [...this.range.querySelectorAll("input")].map((one) => Number(one.value));
          onchange({ from: Math.min(from, to), to: Math.max(from, to) });
        });
      }
    }

    draw(set, state) {
      if (document.activeElement !== this.search) this.search.value = state.query;
      const { make } = mmdl;
      const focus = this.choices.contains(document.activeElement) ? document.activeElement.dataset.key : null;
      const names = set.columns.map((column) => column.label);
      const fields = [];
      const outcomes = set.counts(state, "outcome", (row) => set.outcome(state.a, row));
      const known = OUTCOMES.filter(([key]) => outcomes.get(key) || key === state.outcome);
      fields.push(this._chips(names[state.a], "outcome", known, outcomes, state.outcome, (outcome) => ({ outcome })));
      if (state.b >= 0) {
        const pairs = set.counts(state, "pair", (row) => [set.pair(state.a, state.b, row), set.differs(state.a, state.b, row) ? "differs" : "-"]);
        const texts = [
          ["first", `only ${names[state.a]} right`],
          ["second", `only ${names[state.b]} right`],
          ["both", "both right"],
          ["neither", "neither right"],
          ["differs", "other answers"],
        ];
        fields.push(this._chips("The two runs", "pair", texts, pairs, state.pair, (pair) => ({ pair })));
      }
      for (const name of Object.keys(set.raw.groups)) {
        const counts = set.counts(state, `group:${name}`, (row) => set.text(set.raw.groups[name][row]));
        counts.delete("");
        const choose = (value) => ({ groups: { ...state.groups, [name]: value } });
        fields.push(this._choice(name[0].toUpperCase() + name.slice(1), `group:${name}`, counts, state.groups[name] ?? "", choose));
      }
      if (set.kind === "vqa" || set.kind === "classification") {
        const counts = set.counts(state, "predicted", (row) => set.text(set.predicted(state.a, row)));
        fields.push(this._choice(`Answer of ${names[state.a]}`, "predicted", counts, state.predicted, (predicted) => ({ predicted }), true));
      }
      if (set.kind === "retrieval") {
        const counts = set.counts(state, "rank", (row) => set.rank(state.a, row));
        const texts = ["1", "2 to 5", "6 to 10", "over 10"].map((text) => [text, `rank ${text}`]);
        fields.push(this._chips(`Right one of ${names[state.a]}`, "rank", texts, counts, state.rank, (rank) => ({ rank })));
      }
      this.choices.replaceChildren(...fields.filter(Boolean));
      if (focus) this.choices.querySelector(`[data-key="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
      this._range(set, state);
      const active = state.outcome || state.pair || state.predicted || state.rank || state.query || state.from > 0 || state.to < 1 || Object.values(state.groups).some(Boolean);
      this.host.querySelector("[data-part=clear]").disabled = !active;
      this.host.querySelector("summary .badge").hidden = !active;
    }

    _choice(name, key, counts, value, choose, listed = false) {
      if (!listed && counts.size <= CHIPS) {
        const texts = [...counts.keys()].sort(compare).map((text) => [text, text]);
        if (value && !counts.has(value)) texts.push([value, value]);
        return texts.length > 1 || value ? this._chips(name, key, texts, counts, value, choose) : null;
      }
      const { make } = mmdl;
      const sorted = [...counts].sort((one, other) => (counts.size > 40 ? other[1] - one[1] : compare(one[0], other[0])));
      const options = sorted.slice(0, LISTED).map(([text, count]) => make("option", { value: text }, `${text.slice(0, 60)} (${count})`));
      if (sorted.length > LISTED) options.push(make("option", { disabled: true, value: "-" }, `${sorted.length - LISTED} more: use the search`));
      if (value && !counts.has(value)) options.unshift(make("option", { value }, `${value.slice(0, 60)} (0)`));
      const select = make("select", { "data-key": key, "aria-label": name }, make("option", { value: "" }, "any"), ...options);
      select.value = value;
      select.addEventListener("change", () => this.onchange(choose(select.value)));
      return make("label.choice", {}, make("span.legendlike", { dir: "auto" }, name), select);
    }

    _chips(name, key, texts, counts, value, choose) {
      const { make } = mmdl;
      const chips = texts.map(([one, text]) =>
        make(
          `button.chip${counts.get(one) ? "" : ".empty"}`,
          {
            type: "button",
            "data-key": `${key}=${one}`,
            "aria-pressed": String(value === one),
            onclick: () => this.onchange(choose(value === one ? "" : one)),
          },
          make("span", { dir: "auto" }, text),
          make("span.count", {}, (counts.get(one) ?? 0).toLocaleString("en-US")),
        ),
      );
      return make("div.choice", { role: "group", "aria-label": name }, make("span.legendlike", { dir: "auto" }, name), make("div.chips", {}, ...chips));
    }

    // How many items of each confidence, right ones at the bottom; only where the values are probabilities.
    _range(set, state) {
      const seen = set.kind !== "retrieval" && set.all.some((row) => set.confidence(state.a, row) !== null);
      this.range.hidden = !seen;
      if (!seen) return;
      const right = new Array(BINS).fill(0);
      const all = new Array(BINS).fill(0);
      for (const row of set.all) {
        if (!set.passes(row, state, "confidence")) continue;
        const value = set.confidence(state.a, row);
        if (value === null) continue;
        const bin = Math.max(0, Math.min(BINS - 1, Math.floor(value * BINS)));
        all[bin] += 1;
        right[bin] += Math.max(0, set.score(state.a, row) ?? 0);
      }
      const most = Math.max(...all, 1);
      const columns = all.map((count, bin) => {
        const share = count ? right[bin] / count : 0;
        const inside = (bin + 1) / BINS > state.from && bin / BINS < state.to;
        return mmdl.make(
          `span.column${inside ? "" : ".outside"}`,
          { title: `${(bin / BINS).toFixed(2)} to ${((bin + 1) / BINS).toFixed(2)}: ${count} items, score ${(100 * share).toFixed(0)}%`, style: `height:${((100 * count) / most).toFixed(1)}%` },
          mmdl.make("span.good", { style: `height:${(100 * share).toFixed(1)}%` }),
        );
      });
      this.range.querySelector("[data-part=histogram]").replaceChildren(...columns);
      const [from, to] = this.range.querySelectorAll("input");
      if (document.activeElement !== from) from.value = state.from;
      if (document.activeElement !== to) to.value = state.to;
      this.range.querySelector("output").textContent = `${state.from.toFixed(2)} to ${state.to.toFixed(2)}`;
    }
  }

  const compare = (one, other) => one.localeCompare(other, "en", { numeric: true });

  mmdl.BrowserFilters = BrowserFilters;
})();
