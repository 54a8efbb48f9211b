"use strict";
// What all sections of the page share: data, colours of runs, sorting of tables, copying, where the reader is.
(() => {
  const mmdl = (window.mmdl ??= {});

  // The data of a section, or null.
  mmdl.data = (anchor) => {
    const found = document.getElementById(`data-${anchor}`);
    return found ? JSON.parse(found.textContent) : null;
  };

  mmdl.palette = new mmdl.Palette(mmdl.data("runs") ?? []);

  // <span data-swatch="RUN"> becomes the line of that run's colour.
  mmdl.paintSwatches = (root = document) => {
    for (const place of root.querySelectorAll("[data-swatch]")) place.replaceWith(mmdl.palette.swatch(place.dataset.swatch));
  };

  // [data-colour] takes the colour of that run; with an empty one it stays grey.
  mmdl.paintColours = (root = document) => {
    for (const place of root.querySelectorAll("[data-colour]"))
      place.style.setProperty("--key", place.dataset.colour ? `var(${mmdl.palette.of(place.dataset.colour).variable})` : "var(--muted)");
  };

  // Headings of table[data-sortable] sort its rows: numbers by data-value of the cell, else by its text; a cell without
  // a value stays last.
  const sortable = (table) => {
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    heads.forEach((head, column) => {
      if (head.dataset.sort === "no") return;
      const button = document.createElement("button");
      button.className = "sort";
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const before = head.getAttribute("aria-sort");
        const first = head.classList.contains("number") ? "descending" : "ascending"; // the greatest score, or A to Z
        const order = !before ? first : before === "descending" ? "ascending" : "descending";
        for (const other of heads) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", order);
        sortRows(table.tBodies[0], column, order === "ascending" ? 1 : -1);
      });
    });
  };

  const sortRows = (body, column, sign) => {
    const key = (row) => {
      const cell = row.cells[column];
      const value = cell?.dataset.value ?? cell?.textContent.trim() ?? "";
      return value === "" ? null : Number.isNaN(Number(value)) ? value.toLowerCase() : Number(value);
    };
    const rows = [...body.rows].map((row) => ({ row, key: key(row) }));
    const compare = (a, b) =>
      typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
    rows.sort((a, b) => {
      if (a.key === null || b.key === null) return (a.key === null) - (b.key === null);
      return sign * compare(a.key, b.key);
    });
    body.append(...rows.map(({ row }) => row));
  };

  const copy = async (words) => {
    try {
      await navigator.clipboard.writeText(words);
      return true;
    } catch {
      // A page from disk may not use the clipboard; a selection may be copied even there.
      const area = Object.assign(document.createElement("textarea"), { value: words });
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("button[data-copy]");
    if (!button) return;
    const done = await copy(document.getElementById(button.dataset.copy).textContent);
    button.textContent = done ? "Copied" : "Select and copy it by hand";
    button.focus();
    setTimeout(() => (button.textContent = "Copy"), 1600);
  });

  // The entry of the section that is being read is marked, and brought into view where the contents scroll.
  const links = new Map([...document.querySelectorAll(".contents a")].map((link) => [link.hash.slice(1), link]));
  const list = document.querySelector(".contents ol");
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        for (const link of links.values()) link.removeAttribute("aria-current");
        const link = links.get(entry.target.id);
        link?.setAttribute("aria-current", "location");
        if (link && list) list.scrollLeft = link.offsetLeft - list.clientWidth / 2;
      }
    },
    { rootMargin: "-20% 0px -75% 0px" },
  );
  for (const section of document.querySelectorAll("main > section")) seen.observe(section);

  const measure = () => {
    const bar = document.querySelector(".contents");
    const sticky = bar && getComputedStyle(bar).position === "sticky";
    document.documentElement.style.setProperty("--sticky", sticky ? `${bar.offsetHeight}px` : "0px");
  };
  addEventListener("resize", measure);
  measure();

  // On paper all is unfolded, and dark on white.
  let opened = [];
  let theme;
  const paint = (value) => {
    if (value) document.documentElement.dataset.theme = value;
    else delete document.documentElement.dataset.theme;
    dispatchEvent(new Event("themechange"));
  };
  addEventListener("beforeprint", () => {
    theme = document.documentElement.dataset.theme;
    paint("light");
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const part of opened) part.open = true;
  });
  addEventListener("afterprint", () => {
    paint(theme);
    for (const part of opened) part.open = false;
  });

  for (const table of document.querySelectorAll("table[data-sortable]")) sortable(table);
  mmdl.sortable = sortable;
  mmdl.paintSwatches();
  mmdl.paintColours();
})();
