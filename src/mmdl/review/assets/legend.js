"use strict";
// The legend of all charts of a page: a button for each run switches its line on and off.
//
//   const legend = new mmdl.Legend(host, { runs: [{ id, label }], palette, onchange: (hidden) => ..., onhover: (id) => ... })
(() => {
  const mmdl = (window.mmdl ??= {});

  class Legend {
    constructor(host, { runs, palette, onchange, onhover }) {
      Object.assign(this, { host, palette, onchange, onhover, hidden: new Set(), buttons: new Map() });
      host.classList.add("legend");
      host.setAttribute("role", "group");
      host.setAttribute("aria-label", "Runs. Enter switches a line on or off, with Shift all others.");
      this.setRuns(runs);
    }

    // Other runs; those that were switched off stay off.
    setRuns(runs) {
      this.runs = runs;
      this.buttons.clear();
      this.host.replaceChildren(...runs.map((run) => this._button(run)));
      if (runs.length > 2) this.host.append(this._all("All", false), this._all("None", true));
    }

    _button({ id, label }) {
      const button = mmdl.element("button", "run");
      button.type = "button";
      button.dataset.run = id;
      button.title = `${label}: click switches the line on or off, Shift and click shows it alone`;
      button.append(this.palette.swatch(id), mmdl.element("span", "", label));
      button.addEventListener("click", (event) => (event.shiftKey ? this.only(id) : this.toggle(id)));
      for (const [name, value] of [["mouseenter", id], ["focus", id], ["mouseleave", null], ["blur", null]])
        button.addEventListener(name, () => this.onhover?.(value));
      this.buttons.set(id, button);
      this._press(id);
      return button;
    }

    _all(text, hide) {
      const button = mmdl.element("button", "quiet", text);
      button.type = "button";
      button.addEventListener("click", () => this._set(hide ? this.runs.map((run) => run.id) : []));
      return button;
    }

    toggle(id) {
      const hidden = new Set(this.hidden);
      if (!hidden.delete(id)) hidden.add(id);
      this._set(hidden);
    }

    // The run alone; all again where it is alone already.
    only(id) {
      const others = this.runs.map((run) => run.id).filter((other) => other !== id);
      const alone = !this.hidden.has(id) && others.every((other) => this.hidden.has(other));
      this._set(alone ? [] : others);
    }

    _set(hidden) {
      this.hidden = new Set(hidden);
      for (const id of this.buttons.keys()) this._press(id);
      this.onchange?.(this.hidden);
    }

    _press(id) {
      this.buttons.get(id).setAttribute("aria-pressed", String(!this.hidden.has(id)));
    }
  }

  mmdl.Legend = Legend;
})();
