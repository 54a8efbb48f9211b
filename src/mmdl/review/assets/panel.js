"use strict";
// Many quantities of several runs: a toolbar, one legend, and a grid of charts that are drawn when they come into view.
//
//   const panel = new mmdl.Panel(host, { runs: [{ id, label }], quantities: [{ name, group }], curves: (name) => [...] })
//
// groups: [{ id, label, runs }] may be folded into mean and deviation; id is that of its first run. curves(name) gives the curves of a quantity as mmdl.Chart takes them, or a promise of them.
(() => {
  const mmdl = (window.mmdl ??= {});

  class Panel {
    constructor(host, { runs, groups = [], quantities, curves, palette, open = 24 }) {
      Object.assign(this, { host, runs, groups, curves, open, cells: new Map(), zoomTogether: false, fold: false });
      this.palette = palette ?? new mmdl.Palette(runs.map((run) => run.id));
      this.view = { x: "step", log: false, smoothing: 0, hidden: new Set() };
      this.sync = `panel-${Math.random()}`;
      host.classList.add("panel");
      host.replaceChildren();
      this._bar(runs);
      this.body = mmdl.element("div");
      this.none = mmdl.element("p", "panel-none", "No quantity has a name like that.");
      this.none.hidden = true;
      host.append(this.body, this.none);
      this.watcher = new IntersectionObserver((seen) => seen.forEach((one) => one.isIntersecting && this._draw(one.target)), {
        rootMargin: "300px",
      });
      addEventListener("beforeprint", () => [...this.cells.values()].slice(0, 40).forEach((cell) => this._draw(cell)));
      this.setQuantities(quantities);
    }

    // Other quantities; charts that are there already stay.
    setQuantities(quantities) {
      const wanted = new Map();
      for (const quantity of quantities) {
        if (!wanted.has(quantity.group)) wanted.set(quantity.group, []);
        wanted.get(quantity.group).push(quantity);
      }
      const parts = [];
      let shown = 0;
      for (const [name, members] of wanted) {
        const group = mmdl.element("details", "panel-group");
        group.dataset.group = name;
        group.open = shown < this.open;
        shown += members.length;
        const summary = mmdl.element("summary", "", `${name} `);
        summary.append(mmdl.element("span", "count", String(members.length)));
        const grid = mmdl.element("div", "panel-grid");
        grid.append(...members.map((quantity) => this._cell(quantity)));
        group.append(summary, grid);
        parts.push(group);
      }
      for (const [name, cell] of this.cells)
        if (!quantities.some((quantity) => quantity.name === name)) {
          cell.chart?.destroy();
          this.watcher.unobserve(cell);
          this.cells.delete(name);
        }
      this.body.replaceChildren(...parts);
      this._filter();
    }

    setRuns(runs) {
      this.runs = runs;
      this.legend.setRuns(this.fold ? this.groups : runs);
      this.refresh();
    }

    // Ask for the curves of the charts that are drawn once more.
    refresh() {
      for (const cell of this.cells.values()) if (cell.chart) this._fill(cell);
    }

    _cell(quantity) {
      const known = this.cells.get(quantity.name);
      if (known) return known;
      const cell = mmdl.element("div", "panel-cell");
      cell.dataset.quantity = quantity.name;
      this.cells.set(quantity.name, cell);
      this.watcher.observe(cell);
      return cell;
    }

    async _draw(cell) {
      if (cell.drawn) return;
      cell.drawn = true;
      this.watcher.unobserve(cell);
      await this._fill(cell);
    }

    async _fill(cell) {
      const name = cell.dataset.quantity;
      const found = this.curves(name);
      const each = found instanceof Promise ? await found : found;
      const curves = this.fold ? mmdl.folded(each, this.groups) : each;
      if (cell.chart) return cell.chart.setCurves(curves);
      const onzoom = (range) => this._zoomed(cell.chart, range);
      const height = cell.matches('[data-group="Monitored"] .panel-cell:only-child') ? 300 : 230;
      new mmdl.Chart(cell, { height, title: name, curves, palette: this.palette, view: this.view, sync: this.sync, onzoom });
      const button = mmdl.element("button", "quiet", "Enlarge");
      button.setAttribute("aria-label", `Enlarge ${name}`);
      button.addEventListener("click", () => {
        const large = cell.classList.toggle("large");
        button.textContent = large ? "Shrink" : "Enlarge";
        button.setAttribute("aria-label", `${button.textContent} ${name}`);
        cell.chart.setHeight(large ? 440 : height);
      });
      if (mmdl.exportButtons) cell.chart.head.append(...mmdl.exportButtons(cell.chart));
      cell.chart.head.append(button);
    }

    _zoomed(from, range) {
      if (!this.zoomTogether || this.zooming) return;
      this.zooming = true; // the other charts report their zoom as well
      for (const { chart } of this.cells.values()) if (chart && chart !== from) chart.zoomTo(range);
      this.zooming = false;
    }

    _change(view) {
      Object.assign(this.view, view);
      for (const { chart } of this.cells.values()) chart?.update(view);
    }

    // Only the quantities whose name holds all the words.
    _filter() {
      const words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let found = 0;
      for (const group of this.body.children) {
        let inside = 0;
        for (const cell of group.querySelectorAll(".panel-cell")) {
          const name = cell.dataset.quantity.toLowerCase();
          cell.hidden = !words.every((word) => name.includes(word));
          inside += !cell.hidden;
        }
        group.hidden = !inside;
        if (words.length && inside) group.open = true;
        group.querySelector(".count").textContent = String(inside);
        found += inside;
      }
      this.none.hidden = found > 0;
      this.found.textContent = words.length ? `${found} of ${this.cells.size}` : `${this.cells.size} quantities`;
    }

    // -- the toolbar -------------------------------------------------------------------------------------------------

    _bar(runs) {
      const bar = mmdl.element("div", "panel-bar");
      const tools = mmdl.element("div", "toolbar");
      this.search = this._input("search", { placeholder: "Find: loss, val accuracy …", ariaLabel: "Find quantities" });
      this.search.addEventListener("input", () => this._filter());
      this.found = mmdl.element("span", "muted");
      this.found.setAttribute("aria-live", "polite");
      tools.append(this.search, this.found, this._smoothing(), this._axis(), this._log());
      if (this.groups.some((group) => group.runs.length > 1)) tools.append(this._folding());
      tools.append(this._together(), this._reset());
      const legend = mmdl.element("div");
      bar.append(tools, legend);
      this.host.append(bar);
      this.legend = new mmdl.Legend(legend, {
        runs,
        palette: this.palette,
        onchange: (hidden) => this._change({ hidden }),
        onhover: (id) => {
          for (const { chart } of this.cells.values()) chart?.highlight(id);
        },
      });
    }

    _input(type, properties) {
      return Object.assign(document.createElement("input"), { type, ...properties });
    }

    _labelled(text, ...parts) {
      const label = mmdl.element("label");
      label.append(...(parts[0].type === "checkbox" ? [...parts, text] : [text, ...parts]));
      return label;
    }

    _smoothing() {
      const range = this._input("range", { min: "0", max: "0.99", step: "0.01", value: "0" });
      range.dataset.control = "smoothing";
      range.title = "Exponential smoothing; curves of a few points are not smoothed";
      const output = mmdl.element("output", "", "0");
      range.addEventListener("input", () => {
        output.textContent = range.value;
        this._change({ smoothing: Number(range.value) });
      });
      return this._labelled("Smoothing", range, output);
    }

    _axis() {
      const select = document.createElement("select");
      select.dataset.control = "x";
      for (const [value, text] of [["step", "step"], ["relative", "relative time"], ["time", "wall time"]])
        select.append(Object.assign(document.createElement("option"), { value, textContent: text }));
      select.addEventListener("change", () => this._change({ x: select.value }));
      return this._labelled("x", select);
    }

    _log() {
      const box = this._input("checkbox", {});
      box.dataset.control = "log";
      box.addEventListener("change", () => this._change({ log: box.checked }));
      return this._labelled("Log y", box);
    }

    _folding() {
      const box = this._input("checkbox", {});
      box.dataset.control = "fold";
      box.addEventListener("change", () => {
        this.fold = box.checked;
        this.setRuns(this.runs);
      });
      const label = this._labelled("Mean over seeds", box);
      label.title = "Runs that differ in their seed only as one line, with one standard deviation on both sides";
      return label;
    }

    _together() {
      const box = this._input("checkbox", {});
      box.dataset.control = "together";
      box.addEventListener("change", () => (this.zoomTogether = box.checked));
      return this._labelled("Zoom together", box);
    }

    _reset() {
      const button = mmdl.element("button", "", "Reset zoom");
      button.addEventListener("click", () => {
        for (const { chart } of this.cells.values()) chart?.zoomTo(null);
      });
      return button;
    }
  }

  mmdl.Panel = Panel;
})();
