"use strict";
// The curves of the page: unpacks the section's data when a chart is drawn.
(() => {
  const { runs, groups, quantities } = mmdl.data("curves");

  const summed = (differences) => {
    let last = 0;
    return differences.map((difference) => (last += difference));
  };

  const byName = new Map(quantities.map((quantity) => [quantity.name, quantity]));
  const curves = (name) =>
    byName.get(name).curves.map(({ r, s, v, t, m, p }) => {
      const { id, label, start } = runs[r];
      return { id, label, start, steps: summed(s), values: v, times: summed(t), means: m, points: !!p };
    });

  mmdl.panel = new mmdl.Panel(document.getElementById("curves-panel"), { runs, groups, quantities, curves, palette: mmdl.palette });
})();
