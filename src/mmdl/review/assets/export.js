"use strict";
// Buttons of an enlarged chart that save it: its picture as PNG, its points as CSV.
(() => {
  const mmdl = (window.mmdl ??= {});
  const EDGE = 16;
  const ROW = 20;

  const save = (name, blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  };

  const visible = (chart) => chart.curves.filter((curve) => !chart.view.hidden.has(curve.id));

  // Quoted, and never the beginning of a formula where a spreadsheet opens it.
  const quoted = (text) => `"${String(text).replace(/^[=+\-@]/, "'$&").replaceAll('"', '""')}"`;

  const csv = (chart) => {
    const lines = ["run,step,time,value"];
    for (const { label, steps, times, values } of visible(chart))
      steps.forEach((step, at) => lines.push([quoted(label), step, times?.[at] ?? "", values[at] ?? "nan"].join(",")));
    return `${lines.join("\n")}\n`;
  };

  // What is on the screen, with its title and its legend, on the colour of the page.
  const picture = (chart) => {
    const plot = chart.plot.ctx.canvas;
    const scale = plot.width / chart.plot.width;
    const runs = visible(chart);
    const canvas = document.createElement("canvas");
    canvas.width = plot.width + 2 * EDGE * scale;
    canvas.height = plot.height + (3 * EDGE + ROW * (runs.length + 1)) * scale;
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    pen.fillStyle = mmdl.css("--surface");
    pen.fillRect(0, 0, canvas.width, canvas.height);
    pen.fillStyle = mmdl.css("--ink");
    pen.font = "600 15px system-ui, sans-serif";
    pen.fillText(chart.title, EDGE, EDGE + 12);
    pen.drawImage(plot, EDGE, EDGE + ROW, chart.plot.width, chart.plot.height);
    pen.font = "13px system-ui, sans-serif";
    runs.forEach(({ id, label }, at) => {
      const y = 2 * EDGE + ROW * (at + 1) + chart.plot.height;
      pen.strokeStyle = chart.palette.colour(id);
      pen.lineWidth = 2.5;
      pen.setLineDash(chart.palette.of(id).dash);
      pen.beginPath();
      pen.moveTo(EDGE, y);
      pen.lineTo(EDGE + 30, y);
      pen.stroke();
      pen.fillText(label, EDGE + 40, y + 4);
    });
    return canvas;
  };

  mmdl.exportButtons = (chart) => {
    const name = chart.title.replace(/[^\w.-]+/g, "-");
    const button = (text, what, press) => {
      const made = mmdl.element("button", "quiet export", text);
      made.type = "button";
      made.setAttribute("aria-label", `Save ${what} of ${chart.title}`);
      made.addEventListener("click", press);
      return made;
    };
    return [
      button("PNG", "the picture", () => chart.plot && picture(chart).toBlob((blob) => save(`${name}.png`, blob))),
      button("CSV", "the points", () => save(`${name}.csv`, new Blob([csv(chart)], { type: "text/csv" }))),
    ];
  };
})();
