"use strict";
// The table of runs: sorted and filtered rows, drawn as far as they are scrolled to; focus and choice stay.
(() => {
  const mmdl = (window.mmdl ??= {});
  const { element } = mmdl;
  const PAGE = 120; // rows that are added at a time

  class Table {
    // choose(ids): the choice has changed; arrange(): sorting has.
    constructor({ choose, arrange, palette }) {
      Object.assign(this, { choose, arrange, palette, rows: new Map(), drawn: new Map(), chosen: new Set(), shown: [], active: null });
      Object.assign(this, { limit: PAGE, sort: { key: "started", down: true }, words: [], states: new Set() });
      this.body = document.getElementById("rows");
      this.scroll = document.getElementById("scroll");
      this.none = document.getElementById("none");
      this._heads();
      this.body.addEventListener("click", (event) => this._click(event));
      this.body.addEventListener("keydown", (event) => this._key(event));
      this.body.addEventListener("focusin", (event) => this._activate(event.target.closest("tr")?.dataset.run, false));
      new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && this._more(), {
        root: this.scroll, rootMargin: "600px",
      }).observe(document.getElementById("more"));
      setInterval(() => document.hidden || this._age(), 5000);
    }

    // -- what is shown -----------------------------------------------------------------------------------------------

    // Sort, filter and draw again; rows that have not changed stay as they are.
    draw() {
      const column = mmdl.COLUMNS.find((one) => one.key === this.sort.key) ?? mmdl.COLUMNS[0];
      const keyed = [];
      for (const row of this.rows.values())
        if ((!this.states.size || this.states.has(row.state)) && mmdl.matches(row, this.words)) keyed.push([column.sort(row), row]);
      const sign = this.sort.down ? -1 : 1;
      keyed.sort(([one, a], [other, b]) => {
        const empty = (one == null || one === "") - (other == null || other === "");
        if (empty) return empty; // without a value: last, whichever way
        const order = typeof one === "string" ? one.localeCompare(other, "en", { numeric: true }) : one - other;
        return sign * order || a.id.localeCompare(b.id, "en", { numeric: true });
      });
      this.shown = keyed.map(([, row]) => row);
      this._heading();
      this._place();
    }

    _place() {
      const focused = this.body.contains(document.activeElement) ? document.activeElement : null;
      let next = this.body.firstChild;
      const count = Math.min(this.limit, this.shown.length);
      if (!this.shown.some((row) => row.id === this.active)) this.active = this.shown[0]?.id ?? null;
      for (let at = 0; at < count; at++) {
        const tr = this._row(this.shown[at]);
        tr.setAttribute("aria-rowindex", String(at + 2));
        if (tr === next) next = next.nextSibling;
        else this.body.insertBefore(tr, next);
      }
      while (next) {
        const gone = next;
        next = next.nextSibling;
        gone.remove();
      }
      for (const id of this.drawn.keys()) if (!this.rows.has(id)) this.drawn.delete(id);
      document.getElementById("table").setAttribute("aria-rowcount", String(this.shown.length + 1));
      if (focused && document.activeElement !== focused && this.body.contains(focused)) focused.focus({ preventScroll: true });
      else if (focused && !this.body.contains(focused)) this.drawn.get(this.active)?.tr.focus({ preventScroll: true });
    }

    _row(row) {
      let held = this.drawn.get(row.id);
      if (!held) {
        held = { tr: this._newRow(row.id), row: null };
        this.drawn.set(row.id, held);
      }
      if (held.row !== row) this._fill(held, row, false);
      held.tr.tabIndex = row.id === this.active ? 0 : -1;
      return held.tr;
    }

    _newRow(id) {
      const tr = element("tr");
      tr.dataset.run = id;
      tr.setAttribute("role", "row");
      const pick = element("td", "pick");
      pick.setAttribute("role", "gridcell");
      const box = Object.assign(document.createElement("input"), { type: "checkbox", tabIndex: -1, checked: this.chosen.has(id) });
      box.setAttribute("aria-label", `Choose ${id}`);
      pick.append(box);
      tr.append(pick);
      for (const column of mmdl.COLUMNS) {
        const cell = element(column.head ? "th" : "td", `c-${column.key}${column.number ? " number" : ""}`);
        if (column.head) cell.scope = "row";
        cell.setAttribute("role", column.head ? "rowheader" : "gridcell");
        cell.dataset.title = column.title;
        tr.append(cell);
      }
      this._mark(tr, id);
      return tr;
    }

    _fill(held, row, aging) {
      const now = mmdl.now();
      mmdl.COLUMNS.forEach((column, at) => {
        if (!aging || column.ages) held.tr.children[at + 1].replaceChildren(...column.cell(row, now));
      });
      held.row = row;
    }

    _age() {
      for (const held of this.drawn.values()) if (held.tr.isConnected && !held.tr.matches(":hover")) this._fill(held, held.row, true);
    }

    _more() {
      if (this.limit >= this.shown.length) return;
      this.limit += PAGE;
      this._place();
    }

    // -- headings ----------------------------------------------------------------------------------------------------

    _heads() {
      const heads = document.getElementById("heads");
      const pick = element("th", "pick");
      pick.setAttribute("role", "columnheader");
      this.all = Object.assign(document.createElement("input"), { type: "checkbox" });
      this.all.setAttribute("aria-label", "Choose all runs that are shown");
      this.all.addEventListener("change", () => this._chooseAll());
      pick.append(this.all);
      heads.append(pick);
      this.select = document.getElementById("sort");
      for (const column of mmdl.COLUMNS) {
        const head = element("th", `c-${column.key}${column.number ? " number" : ""}`);
        head.setAttribute("role", "columnheader");
        head.dataset.key = column.key;
        const button = element("button", "sort", column.title);
        button.type = "button";
        button.addEventListener("click", () => this._sortBy(column));
        head.append(button);
        heads.append(head);
        for (const down of [!!column.down, !column.down]) {
          const option = element("option", "", `${column.title} ${down ? "↓" : "↑"}`);
          option.value = `${column.key}${down ? "-" : ""}`;
          this.select.append(option);
        }
      }
      this.select.addEventListener("change", () => {
        const down = this.select.value.endsWith("-");
        this.sort = { key: down ? this.select.value.slice(0, -1) : this.select.value, down };
        this.arrange();
      });
    }

    _sortBy(column) {
      const same = this.sort.key === column.key;
      this.sort = { key: column.key, down: same ? !this.sort.down : !!column.down };
      this.limit = PAGE;
      this.arrange();
    }

    _heading() {
      for (const head of document.querySelectorAll("#heads [data-key]"))
        if (head.dataset.key === this.sort.key) head.setAttribute("aria-sort", this.sort.down ? "descending" : "ascending");
        else head.removeAttribute("aria-sort");
      this.select.value = `${this.sort.key}${this.sort.down ? "-" : ""}`;
      const some = this.shown.filter((row) => this.chosen.has(row.id)).length;
      this.all.checked = some > 0 && some === this.shown.length;
      this.all.indeterminate = some > 0 && some < this.shown.length;
    }

    // -- choice, keys ------------------------------------------------------------------------------------------------

    setChosen(ids) {
      this.chosen = new Set(ids);
      for (const [id, { tr }] of this.drawn) this._mark(tr, id);
      this._heading();
    }

    _mark(tr, id) {
      const chosen = this.chosen.has(id);
      if (tr.getAttribute("aria-selected") === String(chosen)) return;
      tr.setAttribute("aria-selected", String(chosen));
      const box = tr.querySelector("input");
      box.checked = chosen;
      box.nextSibling?.remove();
      if (chosen) box.after(this.palette.swatch(id)); // as its curves are drawn
    }

    _toggle(id, stretch = false) {
      const chosen = new Set(this.chosen);
      const add = !chosen.has(id);
      const ids = this.shown.map((row) => row.id);
      const [from, to] = [ids.indexOf(this.anchor), ids.indexOf(id)];
      const touched = stretch && from >= 0 ? ids.slice(Math.min(from, to), Math.max(from, to) + 1) : [id];
      for (const one of touched) chosen[stretch || add ? "add" : "delete"](one);
      this.anchor = id;
      this.setChosen(chosen);
      this.choose([...chosen]);
    }

    _chooseAll() {
      const chosen = new Set(this.chosen);
      for (const row of this.shown) chosen[this.all.checked ? "add" : "delete"](row.id);
      this.setChosen(chosen);
      this.choose([...chosen]);
    }

    _click(event) {
      const id = event.target.closest("tr")?.dataset.run;
      if (id === undefined || event.target.closest("a")) return;
      if (event.target.closest(".pick") || event.shiftKey) this._toggle(id, event.shiftKey);
      this._activate(id, true);
    }

    _activate(id, focus) {
      if (id === undefined || !this.drawn.has(id)) return;
      const before = this.drawn.get(this.active)?.tr;
      if (before) before.tabIndex = -1;
      this.active = id;
      const { tr } = this.drawn.get(id);
      tr.tabIndex = 0;
      if (focus) tr.focus({ preventScroll: true });
    }

    _key(event) {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const at = this.shown.findIndex((row) => row.id === this.active);
      const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -Infinity, End: Infinity };
      if (event.key in steps) {
        const to = Math.max(0, Math.min(this.shown.length - 1, at + steps[event.key]));
        if (event.key === "ArrowUp" && at === 0) return document.getElementById("filter").focus();
        if (to >= this.limit) {
          this.limit = to + PAGE;
          this._place();
        }
        const id = this.shown[to].id;
        if (event.shiftKey && Math.abs(steps[event.key]) === 1) {
          this.anchor ??= this.active;
          if (!this.chosen.has(this.anchor)) this._toggle(this.anchor);
          if (!this.chosen.has(id)) this._toggle(id);
        }
        this._activate(id, true);
        this._reveal(this.drawn.get(id).tr);
      } else if (event.key === " ") this._toggle(this.active, event.shiftKey);
      else if (event.key === "Enter") location.assign(mmdl.address(this.active));
      else return;
      event.preventDefault();
    }

    // Into view below the heading, which stays in place.
    _reveal(tr) {
      const head = document.getElementById("heads").offsetHeight;
      const [box, own] = [this.scroll.getBoundingClientRect(), tr.getBoundingClientRect()];
      if (own.top < box.top + head) this.scroll.scrollTop -= box.top + head - own.top;
      else if (own.bottom > box.bottom) this.scroll.scrollTop += own.bottom - box.bottom;
      tr.scrollIntoView({ block: "nearest" });
    }
  }

  mmdl.Table = Table;
})();
