"use strict";
// How one item looks: its image, its question, and what each run answered, as elements of the page.
(() => {
  const mmdl = (window.mmdl ??= {});

  // element("p.note", { title: "x" }, child, "text"): text is never taken as HTML.
  const make = (what, attributes = {}, ...children) => {
    const [tag, ...classes] = what.split(".");
    const made = document.createElement(tag);
    if (classes.length) made.className = classes.join(" ");
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
    return made;
  };

  // Text of a run: it keeps its own direction, and can't turn its neighbours.
  const words = (text, kind = "span") => make(kind, { dir: "auto" }, text);

  const percent = (value) => (value === null ? "" : value >= 0.9995 ? "100%" : `${(100 * value).toFixed(value < 0.1 ? 1 : 0)}%`);

  const picture = (source, text, side) => {
    if (!source) return make("span.nopicture", { role: "img", "aria-label": `no image of ${text}`, style: `--side:${side}px` }, "no image");
    const made = make("img.picture", { src: source, alt: text, decoding: "async", style: `--side:${side}px` });
    made.addEventListener("load", () => made.classList.toggle("tiny", Math.max(made.naturalWidth, made.naturalHeight) < 48));
    return made;
  };

  const NAMES = { right: "right", partly: "partly right", wrong: "wrong", none: "no reference", missing: "not answered" };
  const MARKS = { right: "✓", partly: "◐", wrong: "✗", none: "–", missing: "·" };

  const outcomeBadge = (set, column, row) => {
    const outcome = set.outcome(column, row);
    const score = set.score(column, row);
    const rank = set.columns[column].rank?.[row];
    if (rank) return make(`span.outcome.${outcome === "wrong" && rank <= 5 ? "partly" : outcome}`, { title: "rank of the best right one" }, `${MARKS[outcome]} rank ${rank.toLocaleString("en-US")}`);
    const exact = outcome === "partly" ? ` ${score}` : "";
    return make(`span.outcome.${outcome}`, { title: NAMES[outcome] }, `${MARKS[outcome]} ${NAMES[outcome]}${exact}`);
  };

  const bar = (answer, scale) => {
    const width = answer.value === null ? 0 : Math.max(0, Math.min(1, answer.value / scale));
    return make(
      `div.answer${answer.partly ? ".partly" : answer.right ? ".right" : ""}`,
      { title: answer.partly ? `${answer.text}: few people's answer` : answer.right ? `${answer.text}: a right answer` : answer.text },
      make("span.fill", { style: `--share:${width.toFixed(3)}` }),
      words(answer.text || "(empty)"),
      answer.right ? make("span.tick", { role: "img", "aria-label": answer.partly ? "partly right" : "right" }, answer.partly ? "◐" : "✓") : "",
      make("span.value", {}, answer.value === null ? "" : percent(answer.value)),
    );
  };

  const hit = (answer, side) =>
    make(
      `figure.hit.${answer.right ? "right" : "wrong"}`,
      { title: answer.text },
      picture(answer.image, answer.text, side),
      make("figcaption", {}, `${answer.right ? "✓" : "✗"} ${answer.value === null ? "" : answer.value.toFixed(2)}`),
    );

  // What a run answered: bars of probability, found images, or a generated text.
  const answers = (set, column, row, most, side = 44) => {
    const found = set.answers(column, row);
    if (!found) return make("div.answers", {}, make("span.muted", {}, "this run has no record of it"));
    if (!found.length) return make("div.answers", {}, make("span.muted", {}, "no answers kept"));
    if (set.raw.pictures) return make("div.answers.hits", {}, ...found.slice(0, most).map((answer) => hit(answer, side)));
    if (set.kind === "generation") return make("div.answers", {}, make("div.generation", { dir: "auto" }, found[0].text || "(empty)"));
    // similarities have no common scale: the best one fills the bar
    const scale = set.kind === "retrieval" ? Math.max(...found.map((answer) => answer.value ?? 0), 1e-9) : 1;
    const shown = found.slice(0, most).map((answer) => {
      const made = bar(answer, scale);
      if (set.kind === "retrieval") made.querySelector(".value").textContent = answer.value === null ? "" : answer.value.toFixed(2);
      return made;
    });
    return make("div.answers", {}, ...shown);
  };

  const references = (set, row) =>
    set
      .references(row)
      .map(({ text, count }) => make("span.reference", {}, words(text), count > 1 ? make("span.times", {}, `×${count}`) : ""));

  const runName = (set, column, palette) => {
    const { label, run, baseline } = set.columns[column];
    return make("span.runname", {}, baseline ? "" : palette.swatch(run), words(label));
  };

  // The question; of a prompt without one, its last part; of an image to classify, its class.
  const itemTitle = (set, row) => {
    const asked = set.query(row) || (set.raw.prompt?.[row]?.length ? set.text(set.raw.prompt[row].at(-1)) : "");
    return asked || (set.kind === "classification" && set.references(row)[0]?.text) || set.raw.ids[row];
  };

  // A button that copies text; where the page has no right to the clipboard, by the old way: from a field.
  const copyButton = (name, text) => {
    const button = make("button.quiet", { type: "button" }, name);
    button.addEventListener("click", async () => {
      let done = true;
      try {
        await navigator.clipboard.writeText(text());
      } catch {
        const field = make("textarea.visually-hidden");
        field.value = text();
        button.after(field);
        field.select();
        done = document.execCommand("copy");
        field.remove();
        button.focus();
      }
      button.textContent = done ? "copied" : "can't be copied";
      setTimeout(() => (button.textContent = name), 1500);
    });
    return button;
  };

  const MOST_CELLS = 12;

  const card = (set, row, { a, b }, palette, place) => {
    const query = set.kind === "generation" ? itemTitle(set, row) : set.query(row);
    const known = references(set, row);
    const groups = Object.entries(set.raw.groups)
      .filter(([name]) => ["answer type", "shots"].includes(name))
      .map(([, places]) => set.text(places[row]))
      .filter(Boolean);
    const every = b === mmdl.EVERY_RUN;
    const most = set.raw.pictures ? 5 : every ? 1 : 3;
    const cell = (column) =>
      make("div.cell", {}, make("div.cellhead", {}, runName(set, column, palette), outcomeBadge(set, column, row)), answers(set, column, row, most, every ? 30 : 44));
    const columns = every ? set.columns.map((_, column) => column).slice(0, MOST_CELLS) : [a, b].filter((column) => column >= 0);
    return make(
      "li.item",
      { tabindex: "-1", "data-row": row, "data-place": place, "aria-label": `${itemTitle(set, row)}; ${NAMES[set.outcome(a, row)]}` },
      picture(set.image(row), set.raw.ids[row], 84),
      make(
        "div.asked",
        {},
        query ? make("div.query", { dir: "auto" }, query) : "",
        known.length ? make("div.references", {}, set.kind === "classification" ? make("span.muted", {}, "label") : "", ...known.slice(0, 4)) : "",
        make("div.meta", {}, ...[...groups, set.raw.ids[row]].map((text) => words(text))),
      ),
      make(`div.cells${every ? ".every" : ""}`, {}, ...columns.map(cell)),
    );
  };

  Object.assign(mmdl, { EVERY_RUN: -2, make, browse: { words, picture, percent, answers, references, copyButton, runName, outcomeBadge, itemTitle, card, NAMES } });
})();
