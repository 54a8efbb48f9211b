"use strict";
// The curves of the chosen runs, laid over each other; those of runs in progress grow.
(() => {
  const mmdl = (window.mmdl ??= {});
  const { element } = mmdl;
  const MOST = 50; // runs in one chart; more can't be told apart
  const POINTS = 700; // of a curve: more than a chart has pixels

  class Overlay {
    constructor() {
      Object.assign(this, { ids: [], palette: new mmdl.Palette(), panel: null, asked: 0 });
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
      const found = await this._get("quantities", this._query(this.ids));
      if (!found) return;
      this._say([...more, ...found.notes]);
      const runs = this.ids.map((id) => ({ id, label: id }));
      if (!this.panel) {
        const curves = (name) => this._curves(name);
        this.panel = new mmdl.Panel(this.host, { runs, quantities: found.quantities, curves, palette: this.palette });
      } else {
        this.panel.setQuantities(found.quantities);
        this.panel.setRuns(runs);
      }
    }

    // New lines of some of the runs.
    async grow() {
      if (!this.ids.length || !this.panel || this.growing) return;
      this.growing = true;
      const found = await this._get("quantities", this._query(this.ids));
      if (found) {
        const names = found.quantities.map((quantity) => quantity.name).join("\n");
        if (names !== [...this.panel.cells.keys()].join("\n")) this.panel.setQuantities(found.quantities);
        this.panel.refresh();
      }
      this.growing = false;
    }

    async _curves(name) {
      const query = `${this._query(this.ids)}&points=${POINTS}&name=${encodeURIComponent(name)}`;
      const answer = await mmdl.ask(`/api/curves?${query}`);
      if (!answer) return [];
      return answer.curves.map((curve) => ({ ...curve, label: curve.id }));
    }

    // Null where the answer is no longer wanted, or there is none.
    async _get(what, query) {
      const own = ++this.asked;
      const answer = await mmdl.ask(`/api/${what}?${query}`);
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

  mmdl.Overlay = Overlay;
})();
