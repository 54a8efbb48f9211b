"use strict";
// Score against what it has cost, as SVG: points with intervals and names, and the line of those that nothing beats.
(() => {
  const { points, names } = mmdl.data("cost");
  const host = document.getElementById("cost-plot");
  const SVG = "http://www.w3.org/2000/svg";
  const edge = { left: 62, right: 30, top: 16, bottom: 46 };
  const metrics = [...new Set(points.map((point) => point.metric))];
  const has = (cost) => points.some((point) => point[cost] != null);
  const state = { cost: Object.keys(names).find(has), log: true, metric: metrics[0] };

  const part = (name, attributes, text) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };

  const write = (value) => {
    if (state.cost === "seconds") return mmdl.shortDuration(value);
    return value >= 1e12 ? value.toExponential(1).replace("e+", "e") : mmdl.shortNumber(value);
  };

  const ticks = (low, high, most) => {
    const rough = (high - low) / most;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * ([1, 2, 5].find((factor) => factor * power >= rough) ?? 10);
    const found = [];
    for (let n = Math.ceil(low / step - 1e-9); n * step <= high * (1 + 1e-9) && found.length < 20; n++) found.push(n * step);
    return { found, step };
  };

  // Round times: 5 min rather than 200 s.
  const TIMES = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 172800, 432000];
  const timeTicks = (low, high, most) => {
    const step = TIMES.find((time) => (high - low) / time <= most) ?? 864000;
    const found = [];
    for (let n = Math.ceil(low / step); n * step <= high; n++) if (n) found.push(n * step);
    return found.length > 1 ? found : ticks(low, high, most).found;
  };

  const logTicks = (low, high) => {
    if (high / low < 8) return state.cost === "seconds" ? timeTicks(low, high, 6) : ticks(low, high, 6).found;
    if (state.cost === "seconds") {
      const inside = TIMES.filter((time) => time >= low && time <= high);
      return inside.length > 8 ? inside.filter((_, at) => at % 2 === 0) : inside;
    }
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++)
      for (const factor of [1, 2, 5]) if (factor * 10 ** power >= low && factor * 10 ** power <= high) found.push(factor * 10 ** power);
    return found.length > 7 ? found.filter((value) => /^1(e|0*$|\.)/.test(value.toExponential())) : found;
  };

  // Those that no cheaper point beats, from the cheapest on.
  const front = (shown) => {
    const sign = shown[0]?.mode === "min" ? -1 : 1;
    let best = -Infinity;
    return [...shown]
      .sort((a, b) => a[state.cost] - b[state.cost] || sign * (b.score - a.score))
      .filter((point) => sign * point.score > best && ((best = sign * point.score), true));
  };

  const draw = () => {
    const width = Math.max(300, frame.clientWidth || 900);
    const height = Math.round(Math.min(440, Math.max(280, width * 0.42)));
    const shown = points.filter((point) => point.metric === state.metric && point[state.cost] != null);
    const svg = part("svg", { class: "scatter", viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": `${state.metric} against ${names[state.cost]}` });
    frame.replaceChildren(svg);
    if (!shown.length) {
      frame.replaceChildren(mmdl.element?.("p", "note", `No run with ${state.metric} has this figure.`) ?? "");
      return;
    }
    const xs = shown.map((point) => point[state.cost]);
    const ys = shown.flatMap(({ score, low, high }) => [score, low ?? score, high ?? score]);
    const on = (value) => (state.log ? Math.log10(value) : value);
    let [x0, x1] = [on(Math.min(...xs)), on(Math.max(...xs))];
    const roomX = (x1 - x0) * 0.1 || (state.log ? 0.3 : x0 * 0.3 || 1);
    [x0, x1] = [state.log ? x0 - roomX : Math.max(0, x0 - roomX), x1 + roomX];
    let [y0, y1] = [Math.min(...ys), Math.max(...ys)];
    const roomY = (y1 - y0) * 0.1 || 0.05;
    [y0, y1] = [y0 - roomY, y1 + roomY];
    const placeX = (value) => edge.left + ((on(value) - x0) / (x1 - x0)) * (width - edge.left - edge.right);
    const placeY = (value) => height - edge.bottom - ((value - y0) / (y1 - y0)) * (height - edge.top - edge.bottom);

    const yTicks = ticks(y0, y1, height / 60);
    for (const value of yTicks.found) {
      svg.append(part("line", { class: "grid", x1: edge.left, x2: width - edge.right, y1: placeY(value), y2: placeY(value) }));
      svg.append(part("text", { x: edge.left - 8, y: placeY(value) + 4, "text-anchor": "end" }, mmdl.tick(value, yTicks.step)));
    }
    const inverse = (value) => (state.log ? 10 ** value : value);
    const xTicks = state.log
      ? logTicks(inverse(x0), inverse(x1))
      : state.cost === "seconds" ? timeTicks(x0, x1, width / 130) : ticks(x0, x1, width / 130).found;
    for (const [at, value] of xTicks.entries()) {
      if (at && write(value) === write(xTicks[at - 1])) continue;
      svg.append(part("line", { class: "grid", x1: placeX(value), x2: placeX(value), y1: edge.top, y2: height - edge.bottom }));
      svg.append(part("text", { x: placeX(value), y: height - edge.bottom + 18, "text-anchor": "middle" }, write(value)));
    }
    svg.append(part("text", { x: (width + edge.left) / 2, y: height - 6, "text-anchor": "middle" }, names[state.cost] + (state.log ? " (logarithmic)" : "")));
    const line = front(shown);
    if (line.length > 1)
      svg.append(part("polyline", { class: "front", points: line.map((point) => `${placeX(point[state.cost])},${placeY(point.score)}`).join(" ") }));
    const taken = [];
    for (const point of shown) svg.append(mark(point, placeX, placeY, width, taken, shown.length));
  };

  const mark = (point, placeX, placeY, width, taken, count) => {
    const [x, y] = [placeX(point[state.cost]), placeY(point.score)];
    const colour = `var(${mmdl.palette.of(point.run).variable})`;
    const range = point.low == null ? "" : `, ${point.of} ${mmdl.number(point.low)} to ${mmdl.number(point.high)}`;
    const words = `${point.label}: ${mmdl.number(point.score)}${range}; ${names[state.cost]} ${write(point[state.cost])}`;
    const group = part("g", { class: "point", tabindex: "0", role: "img", "aria-label": words });
    group.append(part("title", {}, words));
    if (point.low != null) group.append(part("line", { x1: x, x2: x, y1: placeY(point.low), y2: placeY(point.high), style: `stroke:${colour};stroke-width:2` }));
    group.append(part("circle", { cx: x, cy: y, r: 6.5, style: `fill:${colour};stroke:var(--surface);stroke-width:1.5` }));
    // A name stands where no other does; of many points only some have room for theirs, all say it when pointed at.
    const left = x > width * 0.72;
    const room = (left ? x : width - x) - 16;
    const text = point.label.length * 7 > room ? `${point.label.slice(0, Math.max(4, Math.floor(room / 7) - 1))}…` : point.label;
    const spans = text.length * 7;
    const from = left ? x - 12 - spans : x + 12;
    const free = [0, -15, 15, -29, 29].find(
      (by) => !taken.some(([a, b, at]) => Math.abs(at - (y + by)) < 14 && from < b && from + spans > a),
    );
    if (free !== undefined || count <= 6) {
      const at = y + (free ?? 0);
      taken.push([from, from + spans, at]);
      group.append(part("text", { class: "label", x: left ? x - 12 : x + 12, y: at + 4, "text-anchor": left ? "end" : "start" }, text));
    }
    return group;
  };

  const bar = document.createElement("div");
  bar.className = "toolbar";
  const choose = document.createElement("div");
  choose.className = "segmented";
  choose.setAttribute("role", "group");
  choose.setAttribute("aria-label", "Cost");
  for (const cost of Object.keys(names)) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: names[cost], disabled: !has(cost) });
    button.dataset.cost = cost;
    button.setAttribute("aria-pressed", String(cost === state.cost));
    button.addEventListener("click", () => {
      state.cost = cost;
      for (const other of choose.children) other.setAttribute("aria-pressed", String(other === button));
      draw();
    });
    choose.append(button);
  }
  const label = document.createElement("label");
  const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: true });
  box.addEventListener("change", () => {
    state.log = box.checked;
    draw();
  });
  label.append(box, "Log x");
  bar.append(choose, label);
  if (metrics.length > 1) {
    const select = document.createElement("select");
    select.setAttribute("aria-label", "Score");
    for (const metric of metrics) select.append(Object.assign(document.createElement("option"), { value: metric, textContent: metric }));
    select.addEventListener("change", () => {
      state.metric = select.value;
      draw();
    });
    bar.append(select);
  }
  const frame = document.createElement("div");
  host.append(bar, frame);
  let width = 0;
  new ResizeObserver(() => frame.clientWidth !== width && ((width = frame.clientWidth), draw())).observe(frame);
})();
