"use strict";
// One quantity, several runs: a uPlot chart with zoom, smoothing, logarithmic axis, and a cursor that the keyboard moves.
//
//   const chart = new mmdl.Chart(host, { title, curves, palette, view })
//
// curves: [{ id, label, steps, values, times, means?, points? }], values with null where they are no number, times in
// seconds since 1970 (or absent), points: show each point, band: two more columns of values, below and above. view: { x: "step" | "relative" | "time", log, smoothing, hidden }.
(() => {
  const mmdl = (window.mmdl ??= {});
  const VIEW = { x: "step", log: false, smoothing: 0, hidden: new Set() };
  const KEYS = "Arrow keys move the cursor, with Shift by ten points; plus and minus zoom; 0 shows all again.";
  const ROWS = 12; // of the box beside the cursor

  const positive = (value) => (value > 0 ? value : null);

  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  class Chart {
    constructor(host, { title, curves, palette, view = {}, height = 230, sync = null, onzoom = null }) {
      Object.assign(this, { host, title, height, sync, onzoom, zoomed: null, lit: null, hovered: false });
      this.palette = palette ?? new mmdl.Palette(curves.map((curve) => curve.id));
      this.view = { ...VIEW, ...view };
      host.chart = this;
      host.classList.add("chart");
      this.head = element("div", "chart-head");
      this.resetButton = element("button", "quiet", "Reset zoom");
      this.resetButton.hidden = true;
      this.resetButton.addEventListener("click", () => this.reset());
      const heading = element("h4");
      heading.append(mmdl.breakable(title));
      this.head.append(heading, this.resetButton);
      this.area = element("div", "chart-area");
      this.area.tabIndex = 0;
      this.area.setAttribute("role", "application");
      this.area.setAttribute("aria-roledescription", "chart");
      this.area.setAttribute("aria-label", `${title}. ${KEYS}`);
      this.note = element("p", "chart-note");
      this.tip = element("div", "chart-tip");
      this.tip.hidden = true;
      this.live = element("p", "visually-hidden");
      this.live.setAttribute("aria-live", "polite");
      host.replaceChildren(this.head, this.area, this.note, this.live);
      this.area.addEventListener("keydown", (event) => this._key(event));
      this.area.addEventListener("blur", () => this._leave());
      this.repaint = () => this.plot?.redraw(false, true);
      addEventListener("themechange", this.repaint);
      this.resizer = new ResizeObserver(() => {
        const width = this.area.clientWidth;
        if (this.plot && width && width !== this.plot.width) this.plot.setSize({ width, height: this.height });
      });
      this.resizer.observe(this.area);
      this.setCurves(curves);
    }

    // Other curves, or the same with more points: the zoom stays.
    setCurves(curves) {
      this.curves = curves;
      this._build();
    }

    // Changes of the view: any of x, log, smoothing, hidden.
    update(view) {
      const before = this.view;
      this.view = { ...before, ...view };
      if (before.x !== this.view.x) this.zoomed = null;
      const soft = before.x === this.view.x && before.log === this.view.log && !before.smoothing === !this.view.smoothing;
      if (!soft || !this.plot) return this._build();
      if (before.smoothing !== this.view.smoothing) this.plot.setData(this._data(), false);
      this._looks();
    }

    // Draw one run's line strong and the others faint; null: all alike.
    highlight(id) {
      if (this.lit === id) return;
      this.lit = id;
      if (this.plot) this._looks();
    }

    setHeight(height) {
      this.height = height;
      this.plot?.setSize({ width: this.area.clientWidth, height });
    }

    reset() {
      if (!this.plot) return;
      this.zoomed = null;
      this.plot.setData(this.plot.data, true);
      this.resetButton.hidden = true;
      this.onzoom?.(null);
    }

    // Show a stretch of x only; null: all.
    zoomTo(range) {
      if (!this.plot || (!range && !this.zoomed)) return;
      if (!range) return this.reset();
      this.plot.setScale("x", range);
    }

    destroy() {
      removeEventListener("themechange", this.repaint);
      this.resizer.disconnect();
      this.plot?.destroy();
      this.plot = null;
    }

    // -- what is drawn -----------------------------------------------------------------------------------------------

    _axis(curve) {
      let last = -Infinity; // steps that fall, or a clock that was set back, must not turn the line around
      const ascending = (values, start = 0) => values.map((value) => (last = Math.max(last, value - start)));
      if (this.view.x === "step" || !curve.times?.length) return ascending(curve.steps);
      return ascending(curve.times, this.view.x === "relative" ? (curve.start ?? curve.times[0]) : 0);
    }

    _data() {
      const place = (values, places) => {
        const column = new Array(this.xs.length); // undefined: no point of this curve; null: a gap
        for (let at = 0; at < places.length; at++) column[places[at]] = values[at];
        return column;
      };
      const shown = this.curves.map((curve) =>
        this.view.log ? curve.values.map(positive) : curve.values,
      );
      this.shown = shown;
      const raw = shown.map((values, at) => place(values, this.places[at]));
      this.banded = this.curves.flatMap((curve, at) => (curve.band ? [at] : []));
      const bands = this.banded.flatMap((at) => {
        const { steps, band, points } = this.curves[at];
        const weight = points ? 0 : this.view.smoothing;
        const soft = weight ? band.map((side) => mmdl.smoothed(steps, side, weight)) : band;
        return soft.map((side) => place(this.view.log ? side.map(positive) : side, this.places[at]));
      });
      if (!this.view.smoothing) return [this.xs, ...raw, ...bands];
      this.smooth = this.curves.map((curve, at) => {
        if (curve.points) return shown[at]; // a few validations: smoothed they would lag far behind
        const line = mmdl.smoothed(curve.steps, shown[at], this.view.smoothing, curve.means);
        return this.view.log ? line.map(positive) : line;
      });
      return [this.xs, ...raw, ...this.smooth.map((values, at) => place(values, this.places[at])), ...bands];
    }

    _build() {
      const kept = this.zoomed;
      this.plot?.destroy();
      this.plot = null;
      this._leave();
      this.axes = this.curves.map((curve) => this._axis(curve));
      Object.assign(this, mmdl.joined(this.axes));
      const data = this._data();
      this._say();
      if (!this.shown.some((values) => values.some((value) => value != null))) {
        const lacks = this.view.log ? "has no positive values, which a logarithmic axis needs" : "has no value that is a number";
        this.area.replaceChildren(element("p", "chart-empty", `${this.title} ${lacks}.`));
        return;
      }
      this.area.replaceChildren(this.tip);
      const options = {
        width: this.area.clientWidth || 320,
        height: this.height,
        pxAlign: 0,
        legend: { show: false },
        scales: { x: { time: this.view.x === "time" }, y: { distr: this.view.log ? 3 : 1 } },
        axes: mmdl.axes(this.view.x, this.view.log),
        series: this._series(),
        bands: this._bands(),
        cursor: {
          drag: { x: true, y: true, uni: 24, dist: 5 },
          points: {
            size: 9,
            width: 2,
            fill: (_, place) => this._colourOf(place),
            stroke: (_, place) => (this._colourOf(place) === "transparent" ? "transparent" : mmdl.css("--surface")),
          },
          hover: { prox: 40 },
          bind: { dblclick: () => () => (this.reset(), null) },
          ...(this.sync && { sync: this._shared() }),
        },
        hooks: {
          setScale: [(plot, key) => key === "x" && this._zoomed(plot)],
          setCursor: [() => this._cursor()],
        },
      };
      this.plot = new uPlot(options, data, this.area);
      this.plot.over.addEventListener("mouseenter", () => (this.hovered = true));
      this.plot.over.addEventListener("mouseleave", () => this._leave());
      this._looks();
      if (kept) this.plot.setScale("x", kept);
    }

    // Only the cursor is shared with the charts beside it: a selection would zoom them too.
    _shared() {
      const moves = (type) => type === "mousemove" || type === "mouseleave";
      return { key: this.sync, setSeries: false, scales: ["x", null], filters: { pub: moves, sub: moves } };
    }

    _series() {
      const line = (curve, at, faint) => {
        const look = this.palette.of(curve.id);
        const alone = this._alone(at);
        return {
          stroke: () => this.palette.colour(curve.id),
          width: faint ? 1 : 1.8,
          dash: look.dash,
          points: {
            show: !!curve.points && !faint,
            size: curve.points ? 6 : 5,
            fill: () => mmdl.css("--surface"),
            filter: (_, __, show) => (show ? null : faint ? null : alone),
          },
        };
      };
      const smooth = !!this.view.smoothing;
      return [
        {},
        ...this.curves.map((curve, at) => line(curve, at, smooth)),
        ...(smooth ? this.curves.map((curve, at) => line(curve, at, false)) : []),
        ...this.banded.flatMap(() => [0, 1].map(() => ({ width: 0, points: { show: false } }))),
      ];
    }

    // Two lines that are not drawn stand around each curve that has a band; what is between them is filled.
    _bands() {
      const first = 1 + this.curves.length * (this.view.smoothing ? 2 : 1);
      return this.banded.map((at, k) => ({
        series: [first + 2 * k + 1, first + 2 * k],
        fill: () => `color-mix(in srgb, ${this.palette.colour(this.curves[at].id)} 20%, transparent)`,
      }));
    }

    // Points between two gaps: no line shows them.
    _alone(at) {
      const values = this.shown[at];
      const found = [];
      values.forEach((value, k) => {
        if (value != null && values[k - 1] == null && values[k + 1] == null) found.push(this.places[at][k]);
      });
      return found.length ? found : null;
    }

    _curveOf(place) {
      const lines = this.curves.length * (this.view.smoothing ? 2 : 1);
      return this.curves[place <= lines ? (place - 1) % this.curves.length : this.banded[(place - lines - 1) >> 1]];
    }

    // Of the point at the cursor: a raw line behind a smoothed one, and the edges of a band, have none.
    _colourOf(place) {
      const count = this.curves.length;
      const behind = this.view.smoothing ? place <= count || place > 2 * count : place > count;
      return behind ? "transparent" : this.palette.colour(this._curveOf(place).id);
    }

    // Which lines are shown, and how strong.
    _looks() {
      const count = this.curves.length;
      const smooth = !!this.view.smoothing;
      this.plot.batch(() => {
        this.plot.series.forEach((series, place) => {
          if (!place) return;
          const { id } = this._curveOf(place);
          const show = !this.view.hidden.has(id);
          const strength = this.lit === null || this.lit === id ? 1 : 0.15;
          series.alpha = strength * (smooth && place <= count ? 0.28 : 1);
          if (series.show !== show) this.plot.setSeries(place, { show });
        });
        this.plot.redraw(false, false);
      });
    }

    _say() {
      const lost = this.curves.reduce((sum, curve) => sum + curve.values.filter((value) => value == null).length, 0);
      const parts = [];
      if (lost) parts.push(`${lost} ${lost === 1 ? "point is" : "points are"} no finite number: gaps`);
      if (this.view.log && this.curves.some((curve) => curve.values.some((value) => value != null && value <= 0)))
        parts.push("values of 0 and below are left out of the logarithmic axis");
      this.note.textContent = parts.join("; ");
      this.note.hidden = !parts.length;
    }

    // -- zoom, cursor, keys ------------------------------------------------------------------------------------------

    _zoomed(plot) {
      const { min, max } = plot.scales.x;
      const first = this.xs[0];
      const last = this.xs[this.xs.length - 1];
      const all = min == null || (min <= first && max >= last);
      const before = this.zoomed;
      this.zoomed = all ? null : { min, max };
      this.resetButton.hidden = all;
      if (this.plot && (before?.min !== this.zoomed?.min || before?.max !== this.zoomed?.max)) this.onzoom?.(this.zoomed);
    }

    // The values at the cursor: [{ curve, at, value, smooth }], the greatest first.
    _values(x) {
      const [min, max] = [this.plot.scales.x.min, this.plot.scales.x.max];
      const reach = (max - min) / 40;
      const found = [];
      this.curves.forEach((curve, index) => {
        const axis = this.axes[index];
        if (this.view.hidden.has(curve.id) || !axis.length) return;
        const at = mmdl.nearest(axis, x);
        if (Math.abs(axis[at] - x) > reach && (x < axis[0] || x > axis[axis.length - 1])) return;
        found.push({ curve, at, value: curve.values[at], smooth: this.view.smoothing ? this.smooth[index][at] : null });
      });
      const rank = ({ value, smooth }) => smooth ?? value ?? -Infinity;
      return found.sort((one, other) => rank(other) - rank(one));
    }

    _where(x) {
      if (this.view.x === "step") return `step ${Math.round(x).toLocaleString("en-US")}`;
      return this.view.x === "relative" ? `after ${mmdl.duration(x)}` : mmdl.clock(x);
    }

    _cursor() {
      const { left, idx } = this.plot?.cursor ?? {};
      const active = this.hovered || this.keyed;
      if (!active || left == null || left < 0 || idx == null) {
        this.tip.hidden = true;
        return;
      }
      const x = this.xs[idx];
      const rows = this._values(x);
      this.tip.replaceChildren(element("strong", "", this._where(x)));
      for (const { curve, at, value, smooth } of rows.slice(0, ROWS)) {
        const row = element("div");
        row.append(this.palette.swatch(curve.id), element("span", "name", curve.label));
        row.append(element("b", "", mmdl.number(smooth ?? value)));
        if (curve.band && value != null) row.append(element("i", "", `± ${mmdl.number(curve.band[1][at] - value, 2)}`));
        else if (smooth != null && value != null && smooth !== value) row.append(element("i", "", mmdl.number(value)));
        this.tip.append(row);
      }
      if (rows.length > ROWS) this.tip.append(element("div", "more", `and ${rows.length - ROWS} more`));
      this.tip.hidden = !rows.length;
      const inset = this.plot.over.offsetLeft;
      const width = this.tip.offsetWidth;
      const place = inset + left + 14;
      this.tip.style.left = `${place + width < this.area.clientWidth ? place : Math.max(0, inset + left - width - 14)}px`;
    }

    _leave() {
      this.hovered = this.keyed = false;
      this.tip.hidden = true;
    }

    _key(event) {
      if (!this.plot || event.ctrlKey || event.metaKey || event.altKey) return;
      const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
      if (event.key in moves) this._move(moves[event.key] * (event.shiftKey ? 10 : 1));
      else if (event.key === "+" || event.key === "=") this._scale(0.5);
      else if (event.key === "-" || event.key === "_") this._scale(2);
      else if (event.key === "0" || event.key === "Escape") this.reset();
      else return;
      event.preventDefault();
    }

    _move(by) {
      const { min, max } = this.plot.scales.x;
      const seen = this.xs.flatMap((x, at) => (x >= min && x <= max && this._drawn(at) ? [at] : []));
      if (!seen.length) return;
      const now = seen.indexOf(seen.findLast((at) => at <= (this.plot.cursor.idx ?? -1)) ?? -1);
      const next = this.keyed || this.hovered ? now + by : by < 0 ? seen.length - 1 : by === Infinity ? Infinity : 0;
      const at = seen[Math.max(0, Math.min(seen.length - 1, next))];
      this.keyed = true;
      this.plot.setCursor({ left: this.plot.valToPos(this.xs[at], "x"), top: this.plot.over.clientHeight / 2 });
      const values = this._values(this.xs[at]).slice(0, ROWS);
      const words = values.map(({ curve, value, smooth }) => `${curve.label} ${mmdl.number(smooth ?? value)}`);
      this.live.textContent = `${this._where(this.xs[at])}: ${words.join(", ")}`;
    }

    // Whether a run that is shown has a point there.
    _drawn(at) {
      return this.curves.some((curve, k) => this.plot.data[k + 1][at] !== undefined && !this.view.hidden.has(curve.id));
    }

    _scale(factor) {
      const { min, max } = this.plot.scales.x;
      const [first, last] = [this.xs[0], this.xs[this.xs.length - 1]];
      const { idx } = this.plot.cursor;
      const centre = this.keyed && idx != null ? this.xs[idx] : (min + max) / 2;
      const half = ((max - min) * factor) / 2;
      const range = { min: Math.max(first, centre - half), max: Math.min(last, centre + half) };
      if (range.min <= first && range.max >= last) this.reset();
      else if (range.max > range.min) this.plot.setScale("x", range);
      const { min: low, max: high } = this.plot.scales.x;
      this.live.textContent = this.zoomed ? `From ${this._where(low)} to ${this._where(high)}` : "All is shown";
    }
  }

  mmdl.Chart = Chart;
  mmdl.element = element;
})();
