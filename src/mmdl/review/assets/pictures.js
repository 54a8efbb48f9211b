"use strict";
// Pictures of evaluations: one run or two side by side, and a slider over the validations of the training.
(() => {
  const mmdl = (window.mmdl ??= {});
  const root = document.getElementById("picture-view");
  if (!root) return;
  const data = JSON.parse(document.getElementById("data-pictures").textContent);
  const { make } = mmdl;
  const part = (name) => root.querySelector(`[data-part="${name}"]`);
  const state = { picture: 0, run: "", other: "", step: Infinity };

  const options = (select, choices, value) => {
    select.replaceChildren(...choices.map(([key, text]) => make("option", { value: key }, text)));
    select.value = String(value);
  };

  const steps = (runs) => {
    const found = [state.run, state.other].flatMap((run) => (runs[run] ?? []).map(([step]) => step));
    return [...new Set(found)].filter((step) => step !== null).sort((one, other) => one - other);
  };

  // Of a run: the picture of the step, or the last one before it.
  const at = (entries, step) => entries.filter(([one]) => one === null || one <= step).at(-1) ?? entries[0];

  const figure = (name, run, entries, step) => {
    const [taken, place] = at(entries, step);
    const said = taken === null ? run : `${run}, step ${taken.toLocaleString("en-US")}`;
    return make("figure", {}, make("figcaption", {}, said), make("img", { src: data.images[place], alt: `${name}, ${said}` }));
  };

  const draw = () => {
    const { name, runs } = data.pictures[state.picture];
    const names = Object.keys(runs);
    if (!runs[state.run]) state.run = names[0];
    if (!runs[state.other] || state.other === state.run) state.other = "";
    options(part("picture"), data.pictures.map((one, place) => [place, one.name]), state.picture);
    options(part("run"), names.map((run) => [run, run]), state.run);
    options(part("other"), [["", "nothing"], ...names.filter((run) => run !== state.run).map((run) => [run, run])], state.other);
    part("other").parentElement.hidden = names.length < 2;
    const known = steps(runs);
    const step = known.filter((one) => one <= state.step).at(-1) ?? known[0] ?? null;
    part("stepping").hidden = known.length < 2;
    if (known.length > 1) {
      part("step").max = known.length - 1;
      part("step").value = known.indexOf(step);
      part("at").textContent = step.toLocaleString("en-US");
    }
    const chosen = [state.run, state.other].filter(Boolean);
    part("shown").replaceChildren(...chosen.map((run) => figure(name, run, runs[run], step)));
  };

  part("picture").addEventListener("change", (event) => {
    state.picture = Number(event.target.value);
    draw();
  });
  for (const name of ["run", "other"]) {
    part(name).addEventListener("change", (event) => {
      state[name] = event.target.value;
      draw();
    });
  }
  part("step").addEventListener("input", (event) => {
    state.step = steps(data.pictures[state.picture].runs)[Number(event.target.value)];
    draw();
  });
  draw();
})();
