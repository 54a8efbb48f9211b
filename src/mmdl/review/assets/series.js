"use strict";
// What charts share: colours of runs, smoothing, numbers as text, curves of several runs on one axis.
(() => {
  const mmdl = (window.mmdl ??= {});

  const COLOURS = 8; // --series-0 ... --series-7 of theme.css: Okabe and Ito's, told apart by colour-blind readers
  const DASHES = [[], [9, 4], [2, 3], [12, 3, 2, 3]];

  // The look of each run: the colour by a hash of its id, so that it is the same on every page; where that colour is
  // taken the next free one, and a dash pattern when all are. A run keeps its look as long as the page is open.
  class Palette {
    constructor(ids = []) {
      this.looks = new Map();
      this.taken = new Set();
      for (const id of [...ids].sort()) this.of(id);
    }

    of(id) {
      if (this.looks.has(id)) return this.looks.get(id);
      let hash = 2166136261;
      for (let at = 0; at < id.length; at++) hash = Math.imul(hash ^ id.charCodeAt(at), 16777619) >>> 0;
      const round = Math.floor(this.looks.size / COLOURS);
      let colour = hash % COLOURS;
      while (this.taken.has(`${round}/${colour}`)) colour = (colour + 1) % COLOURS;
      this.taken.add(`${round}/${colour}`);
      const look = { variable: `--series-${colour}`, dash: DASHES[round % DASHES.length] };
      this.looks.set(id, look);
      return look;
    }

    // The colour, for a canvas: it can't use CSS variables.
    colour(id) {
      return mmdl.css(this.of(id).variable);
    }

    // A short line in the run's colour and pattern, for legends and tables.
    swatch(id) {
      const look = this.of(id);
      const part = document.createElement("span");
      part.className = "swatch";
      part.style.color = `var(${look.variable})`;
      if (look.dash.length) part.style.borderTopStyle = look.dash[0] < 5 ? "dotted" : "dashed";
      part.setAttribute("aria-hidden", "true");
      return part;
    }
  }

  // Exponential smoothing without the bias of its start, as TensorBoard does it; a longer distance counts as several
  // points. Where a curve was thinned, `means` has the mean of what each point stands for, so that peaks that were kept
  // don't pull the line. null (not a number) stays a gap.
  const smoothed = (steps, values, weight, means) => {
    const count = values.length;
    const spacing = count > 1 ? (steps[count - 1] - steps[0]) / (count - 1) : 0;
    let last = 0;
    let total = 0;
    return values.map((value, at) => {
      if (value == null) return null;
      const distance = at && spacing ? (steps[at] - steps[at - 1]) / spacing : 1;
      const kept = weight ** distance;
      last = last * kept + (means?.[at] ?? value) * (1 - kept);
      total = total * kept + (1 - kept);
      return total ? last / total : value;
    });
  };

  // All curves on one axis of ascending values: the axis, and for each curve where its points are in it.
  const joined = (axes) => {
    const length = axes.reduce((sum, axis) => sum + axis.length, 0);
    const all = new Float64Array(length);
    let at = 0;
    for (const axis of axes) {
      all.set(axis, at);
      at += axis.length;
    }
    all.sort();
    const xs = [];
    for (const x of all) if (!xs.length || x !== xs[xs.length - 1]) xs.push(x);
    const places = axes.map((axis) => {
      let place = 0;
      return axis.map((x) => {
        while (xs[place] < x) place++;
        return place;
      });
    });
    return { xs, places };
  };

  // Index of the entry of an ascending array that is nearest to x.
  const nearest = (axis, x) => {
    let low = 0;
    let high = axis.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (axis[middle] < x) low = middle;
      else high = middle;
    }
    return Math.abs(axis[low] - x) <= Math.abs(axis[high] - x) ? low : high;
  };

  const number = (value, digits = 4) => {
    if (value == null || Number.isNaN(value)) return "not a number";
    if (!Number.isFinite(value)) return value > 0 ? "infinity" : "-infinity";
    const size = Math.abs(value);
    if (size !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential(Math.min(2, digits - 1)).replace("e+", "e");
    if (size >= 1e4) return Math.round(value).toLocaleString("en-US");
    return String(Number(value.toPrecision(digits)));
  };

  const duration = (seconds) => {
    const size = Math.abs(seconds);
    if (size < 1) return `${number(seconds, 2)} s`;
    if (size < 120) return `${Number(seconds.toFixed(1))} s`;
    if (size < 7200) return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
    return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
  };

  // Of an axis: 2000 -> 2k.
  const shortNumber = (value) => {
    const size = Math.abs(value);
    if (size >= 1e9) return `${Number((value / 1e9).toPrecision(4))}G`;
    if (size >= 1e6) return `${Number((value / 1e6).toPrecision(4))}M`;
    return size >= 1e4 ? `${Number((value / 1e3).toPrecision(4))}k` : String(Number(value.toPrecision(6)));
  };

  const shortDuration = (seconds) => {
    const size = Math.abs(seconds);
    if (size >= 3600) return `${Number((seconds / 3600).toFixed(2))} h`;
    return size >= 120 ? `${Number((seconds / 60).toFixed(1))} min` : `${Number(seconds.toPrecision(3))} s`;
  };

  // A value of a y axis whose values are `step` apart: as many digits as tell them apart.
  const tick = (value, step) => {
    if (value == null) return "";
    const size = Math.abs(value);
    if (size >= 1e4 && size < 1e12) return shortNumber(value);
    if (size >= 1e12 || (size !== 0 && size < 1e-4)) return value.toExponential(0).replace("e+", "e");
    if (!step) return String(Number(value.toPrecision(4))); // a logarithmic axis
    let digits = 0;
    while (digits < 8 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6 * step * 10 ** digits) digits++;
    return value.toFixed(digits);
  };

  // A name that may be broken after each slash and underscore.
  const breakable = (name) => {
    const parts = document.createDocumentFragment();
    for (const word of name.split(/(?<=[/_])/)) parts.append(word, document.createElement("wbr"));
    return parts;
  };

  const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

  // A moment, in the reader's time zone: 2026-11-28 13:05:09.
  const clock = (seconds) => {
    const when = new Date(1000 * seconds);
    const two = (value) => String(value).padStart(2, "0");
    const day = `${when.getFullYear()}-${two(when.getMonth() + 1)}-${two(when.getDate())}`;
    return `${day} ${two(when.getHours())}:${two(when.getMinutes())}:${two(when.getSeconds())}`;
  };

  // Of an axis of moments: the time, and below it the day where it is another one.
  const clockTicks = (splits, step) => {
    let before = "";
    return splits.map((split) => {
      const [day, time] = clock(split).split(" ");
      const shown = step >= 86_400 ? day.slice(5) : time.slice(0, step < 60 ? 8 : 5);
      const other = day !== before && step < 86_400;
      before = day;
      return other ? `${shown}\n${day}` : shown;
    });
  };

  // The two axes of a chart whose x is "step", "relative" (seconds) or "time".
  const axes = (x, log) => {
    const common = {
      stroke: () => mmdl.css("--muted"),
      grid: { stroke: () => mmdl.css("--grid"), width: 1 },
      ticks: { show: false },
      font: FONT,
      gap: 5,
    };
    const write = x === "step" ? shortNumber : shortDuration;
    const words = (_, splits) => splits.map((value) => (value == null ? "" : write(value)));
    return [
      x === "time"
        ? { ...common, size: 42, space: 76, values: (_, splits, __, ___, step) => clockTicks(splits, step) }
        : { ...common, size: 28, space: 64, values: words },
      {
        ...common,
        space: 34,
        size: (_, values) => Math.max(34, 14 + 6.6 * Math.max(0, ...(values ?? []).map((value) => String(value).length))),
        values: (_, splits, __, ___, step) => splits.map((value) => tick(value, log ? 0 : step)),
      },
    ];
  };

  // The value of a curve between its points; null outside of them and beside a gap.
  const between = (steps, values, x) => {
    const last = steps.length - 1;
    if (last < 0 || x < steps[0] || x > steps[last]) return null;
    let at = nearest(steps, x);
    if (steps[at] === x) return values[at] ?? null;
    if (steps[at] > x) at--;
    const [left, right] = [values[at], values[at + 1]];
    if (left == null || right == null) return null;
    return left + ((right - left) * (x - steps[at])) / (steps[at + 1] - steps[at]);
  };

  // The curves of runs that differ in their seed only as one: its mean, and `band` with one deviation on both sides,
  // where all of them have values. groups: [{ id, label, runs }]; a run in no group, and a group of one, stay as they are.
  const folded = (curves, groups, most = 400) =>
    groups.flatMap(({ id, label, runs }) => {
      const members = curves.filter((curve) => runs.includes(curve.id));
      if (members.length < 2) return members.map((curve) => ({ ...curve, id, label }));
      const all = joined(members.map((curve) => curve.steps)).xs;
      const every = Math.ceil(all.length / most);
      const steps = all.filter((_, at) => at % every === 0 || at === all.length - 1);
      const rows = steps.map((x) => members.map((curve) => between(curve.steps, curve.means ?? curve.values, x)));
      const mean = (row) => row.reduce((sum, value) => sum + value, 0) / row.length;
      const whole = (row) => row.every((value) => value != null);
      const values = rows.map((row) => (whole(row) ? mean(row) : null));
      const spread = rows.map((row, at) => {
        if (!whole(row)) return null;
        return Math.sqrt(row.reduce((sum, value) => sum + (value - values[at]) ** 2, 0) / (row.length - 1));
      });
      const seconds = members.map((curve) => curve.times?.map((time) => time - (curve.start ?? curve.times[0])));
      const times = steps.map((x) => {
        const known = members.map((curve, at) => seconds[at] && between(curve.steps, seconds[at], x)).filter((time) => time != null);
        return known.length ? mean(known) : null;
      });
      const first = steps.findIndex((_, at) => values[at] != null);
      const last = steps.findLastIndex((_, at) => values[at] != null);
      if (first < 0) return [];
      const cut = (column) => column.slice(first, last + 1);
      const start = Math.min(...members.map((curve) => curve.start ?? curve.times?.[0] ?? 0));
      const band = [-1, 1].map((sign) => cut(values.map((value, at) => (value == null ? null : value + sign * spread[at]))));
      const points = members.every((curve) => curve.points);
      const shown = cut(times).map((time) => start + (time ?? 0));
      return [{ id, label, start, points, steps: cut(steps), values: cut(values), times: shown, band }];
    });

  Object.assign(mmdl, { axes, clock, between, folded, breakable, shortNumber, shortDuration, tick });
  Object.assign(mmdl, { Palette, smoothed, joined, nearest, number, duration });
})();
