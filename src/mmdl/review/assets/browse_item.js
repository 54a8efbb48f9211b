"use strict";
// One item, opened: the large image, all references, and the best answers of every run.
(() => {
  const mmdl = (window.mmdl ??= {});

  // mmdl.ItemDialog(dialog, { palette, onstep(by), onclose() })
  class ItemDialog {
    constructor(dialog, { palette, onstep, onclose }) {
      Object.assign(this, { dialog, palette, onstep });
      dialog.addEventListener("close", onclose);
      dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
      dialog.addEventListener("keydown", (event) => {
        const by = { ArrowRight: 1, ArrowDown: 1, j: 1, ArrowLeft: -1, ArrowUp: -1, k: -1 }[event.key];
        if (by === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
        // inside a long text arrows scroll it
        if (event.key.startsWith("Arrow") && event.target.closest(".scrolls")) return;
        event.preventDefault();
        this.onstep(by);
      });
    }

    get isOpen() {
      return this.dialog.open;
    }

    show(set, row, where, first = []) {
      const { make, browse } = mmdl;
      const known = browse.references(set, row);
      const parts = [
        make(
          "div.dialoghead",
          {},
          make("span.muted", {}, where),
          make("span.spread", {}),
          make("button", { type: "button", "aria-label": "Previous item", title: "Previous (k, ←)", onclick: () => this.onstep(-1) }, "←"),
          make("button", { type: "button", "aria-label": "Next item", title: "Next (j, →)", onclick: () => this.onstep(1) }, "→"),
          make("button.close", { type: "button", title: "Close (Esc)", onclick: () => this.dialog.close() }, "Close"),
        ),
        make(
          "div.opened",
          {},
          make("div.large", {}, browse.picture(set.image(row), set.raw.ids[row], 420)),
          make(
            "div.told",
            {},
            make("h3", { dir: "auto" }, set.kind === "classification" ? make("span.muted", {}, "label ") : "", browse.itemTitle(set, row)),
            known.length && set.kind !== "classification" ? make("div.references", {}, make("span.muted", {}, "reference "), ...known) : "",
            this._tally(set, row),
            this._facts(set, row),
          ),
        ),
        set.raw.prompt?.[row]?.length ? this._prompt(set, row) : "",
        make("div.everyrun", {}, ...this._order(set, first).map((column) => this._column(set, column, row))),
      ];
      const focused = this.dialog.open ? document.activeElement?.getAttribute("aria-label") : null;
      this.dialog.replaceChildren(...parts.filter(Boolean));
      if (!this.dialog.open) this.dialog.showModal();
      (this.dialog.querySelector(focused ? `[aria-label="${CSS.escape(focused)}"]` : ".close") ?? this.dialog).focus();
      this.dialog.scrollTop = 0;
    }

    // The two runs that are looked at come first.
    _order(set, first) {
      const rest = set.columns.map((_, column) => column).filter((column) => !first.includes(column));
      return [...first.filter((column) => column >= 0), ...rest];
    }

    // How many of the runs are right, where there are enough to count.
    _tally(set, row) {
      const own = set.columns.map((column, place) => [column, place]).filter(([column, place]) => !column.baseline && set.score(place, row) >= 0);
      if (own.length < 3) return "";
      const right = own.filter(([, place]) => set.score(place, row) >= 0.5).length;
      return mmdl.make("p.note", {}, `${right} of ${own.length} runs are right.`);
    }

    _facts(set, row) {
      const { make, browse } = mmdl;
      const facts = Object.entries(set.raw.groups).map(([name, places]) => [name, set.text(places[row])]);
      const key = set.raw.key ? set.text(set.raw.key[row]) : "";
      const rows = [["id", set.raw.ids[row], true], ...(key && key !== set.raw.ids[row] ? [["image", key, true]] : []), ...facts.filter(([name, value]) => value && name !== "answer" && name !== "class")];
      return make(
        "dl.itemfacts",
        {},
        ...rows.map(([name, value, copied]) => make("div", {}, make("dt", {}, name), make("dd", {}, browse.words(value), copied ? browse.copyButton("copy", () => value) : ""))),
      );
    }

    _prompt(set, row) {
      const { make, browse } = mmdl;
      const flat = set.raw.prompt[row];
      const parts = [];
      for (let at = 0; at < flat.length; at += 2) {
        const image = flat[at] === -2 ? "" : browse.picture(set.images[flat[at]] ?? null, "demonstration", 72);
        parts.push(make("li", {}, image, make("span.said", { dir: "auto" }, set.text(flat[at + 1]))));
      }
      return make("section.prompt", {}, make("h4", {}, `Prompt, ${flat.length / 2} parts`), make("ol.scrolls", { tabindex: "0" }, ...parts));
    }

    _column(set, column, row) {
      const { make, browse } = mmdl;
      return make(
        "section.onerun",
        {},
        make("h4", {}, browse.runName(set, column, this.palette), browse.outcomeBadge(set, column, row)),
        browse.answers(set, column, row, 5, 96),
      );
    }
  }

  mmdl.ItemDialog = ItemDialog;
})();
