"use strict";
// The curves of the chosen runs, laid over each other; those of runs in progress grow, and a zoom brings all points.
(() => {
  const mmdl = (window.mmdl ??= {});
  const { element } = mmdl;
  const MOST = 50; // runs in one chart; more can't be told apart
  const POINTS = 700; // of a curve: more than a chart has pixels
  const LISTS = ["steps", "values", "times", "means"];

  // A curve that was thinned, with a stretch of it in full.
  const merged = (whole, part) => {
    if (!part?.steps.length || !whole.means) return whole;
    const [first, last] = [part.steps[0], part.steps[part.steps.length - 1]];
    const before = whole.steps.findIndex((step) => step >= first);
    const after = whole.steps.findLastIndex((step) => step <= last) + 1;
    const found = { ...whole };
    for (const list of LISTS) {
      if (!whole[list].length) continue;
      const inside = part[list] ?? part.values; // a part that was not thinned stands for itself
      found[list] = [...whole[list].slice(0, Math.max(0, before)), ...inside, ...whole[list].slice(Math.max(0, after))];
    }
    return found;
  };

  class Overlay {
    constructor() {
      Object.assign(this, { ids: [], palette: new mmdl.Palette(), panel: null, asked: 0, zooms: new Map() });
      for (const name of ["actions", "review", "overlay-hint", "overlay-title", "overlay-notes"])
        this[name.replace("overlay-", "")] = document.getElementById(name);
      this.host = document.getElementById("panel");
    }

    // Show these runs, and no others.
    async show(ids) {
      this.ids = ids.slice(0, MOST);
      this.actions.hidden = !ids.length;
      this.hint.hidden = !!ids.length;
      this.host.hidden = !ids.length;
      this.title.textContent = ids.length ? `Curves of ${ids.length} ${ids.length === 1 ? "run" : "runs"}` : "Curves";
      this.review.textContent = ids.length > 1 ? `Review the ${ids.length} runs` : "Open its review";
      this.review.href = ids.length === 1 ? mmdl.address(ids[0]) : `/review?${this._query(ids)}`;
      if (!ids.length) return this._say([]);
      const more = ids.length > MOST ? [`only the first ${MOST} of ${ids.length} runs are drawn`] : [];
      const found = await this._quantities();
      if (!found) return;
      this._say([...more, ...found.notes]);
      const runs = this.ids.map((id) => ({ id, label: id }));
      const { quantities } = found;
      if (this.panel) {
        this.panel.setQuantities(quantities);
        return this.panel.setRuns(runs);
      }
      this.panel = new mmdl.Panel(this.host, { runs, quantities, curves: (name) => this._curves(name), palette: this.palette });
      const zoomed = this.panel._zoomed.bind(this.panel);
      this.panel._zoomed = (chart, range) => {
        zoomed(chart, range);
        this._zoom(chart, range);
      };
    }

    // New lines of some of the runs.
    async grow() {
      if (!this.ids.length || !this.panel || this.growing) return;
      this.growing = true;
      const found = await this._quantities();
      if (found) {
        this._say(found.notes);
        const names = found.quantities.map((quantity) => quantity.name).join("\n");
        if (names !== [...this.panel.cells.keys()].join("\n")) this.panel.setQuantities(found.quantities);
        await Promise.all([...this.panel.cells.values()].filter((cell) => cell.chart).map((cell) => this.panel._fill(cell)));
      }
      this.growing = false;
    }

    // All points of what is zoomed to, or as many as the screen has.
    _zoom(chart, range) {
      const before = this.zooms.get(chart.title);
      if (before?.min === range?.min && before?.max === range?.max) return;
      if (range) this.zooms.set(chart.title, range);
      else this.zooms.delete(chart.title);
      const cell = this.panel.cells.get(chart.title);
      clearTimeout(cell.zooming);
      if (range && chart.view.x === "step") cell.zooming = setTimeout(() => this.panel._fill(cell), 150);
    }

    async _curves(name) {
      const ids = this.ids;
      const query = `/api/curves?${this._query(ids)}&points=${POINTS}&name=${encodeURIComponent(name)}`;
      const chart = this.panel?.cells.get(name)?.chart;
      const zoom = chart?.view.x === "step" ? chart.zoomed : null;
      const part = zoom && mmdl.ask(`${query}&low=${Math.floor(zoom.min)}&high=${Math.ceil(zoom.max)}`);
      const answer = await mmdl.ask(query);
      const detail = new Map((await part)?.curves.map((curve) => [curve.id, curve]));
      if (ids !== this.ids) return this._curves(name); // others were chosen meanwhile
      return (answer?.curves ?? []).map((curve) => ({ ...merged(curve, detail.get(curve.id)), label: curve.id }));
    }

    // Null where others were chosen meanwhile, or there is no answer.
    async _quantities() {
      const own = ++this.asked;
      const answer = await mmdl.ask(`/api/quantities?${this._query(this.ids)}`);
      return own === this.asked ? answer : null;
    }

    _query(ids) {
      return ids.map((id) => `run=${encodeURIComponent(id)}`).join("&");
    }

    _say(notes) {
      this.notes.hidden = !notes.length;
      this.notes.replaceChildren(...notes.map((note) => element("li", "", note)));
    }
  }

  Object.assign(mmdl, { Overlay, mergedCurves: merged });
})();
