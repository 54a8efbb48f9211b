"use strict";
// The list of runs: follows the server, and keeps filter, sorting and choice in the address.
(() => {
  const mmdl = (window.mmdl ??= {});
  const { element } = mmdl;
  const POLL_MS = 2000;
  const SLOWEST_MS = 4000; // a run in progress is to show within 5 s
  const LOST_MS = 10000;
  const $ = (id) => document.getElementById(id);

  let tag = "";
  let lost = 0;
  let timer = null;
  let loaded = false;

  // JSON of the server; null where there is no answer. Undefined: nothing has changed.
  mmdl.ask = async (address) => {
    try {
      const answer = await fetch(address, { signal: AbortSignal.timeout(30000), cache: "no-store" });
      if (answer.status === 304) return undefined;
      return answer.ok ? await answer.json() : null;
    } catch {
      return null;
    }
  };

  const overlay = new mmdl.Overlay();
  const table = new mmdl.Table({
    palette: overlay.palette,
    choose: (ids) => {
      remember();
      overlay.show(ids);
    },
    arrange: () => {
      remember();
      table.draw();
    },
  });

  // -- the address ---------------------------------------------------------------------------------------------------

  const remember = () => {
    const state = new URLSearchParams();
    if ($("filter").value) state.set("q", $("filter").value);
    if (table.states.size) state.set("state", [...table.states].join(","));
    if (table.sort.key !== "started" || !table.sort.down) state.set("sort", table.sort.key + (table.sort.down ? "-" : ""));
    for (const id of [...table.chosen].slice(0, 50)) state.append("run", id);
    history.replaceState(null, "", state.size ? `#${state}` : location.pathname);
  };

  const recall = () => {
    const state = new URLSearchParams(location.hash.slice(1));
    $("filter").value = state.get("q") ?? "";
    table.words = words();
    table.states = new Set((state.get("state") ?? "").split(",").filter((name) => mmdl.STATES.includes(name)));
    const sort = state.get("sort") ?? "started-";
    const key = sort.replace(/-$/, "");
    if (mmdl.COLUMNS.some((column) => column.key === key)) table.sort = { key, down: sort.endsWith("-") };
    const ids = state.getAll("run").filter((id) => table.rows.has(id));
    if (ids.join("\n") !== [...table.chosen].join("\n")) {
      table.setChosen(ids);
      overlay.show(ids);
    }
  };

  // -- filter --------------------------------------------------------------------------------------------------------

  const words = () => $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);

  $("filter").addEventListener("input", () => {
    table.words = words();
    table.limit = 120;
    remember();
    draw();
  });

  const chips = () => {
    const counts = new Map(mmdl.STATES.map((state) => [state, 0]));
    for (const row of table.rows.values()) counts.set(row.state, counts.get(row.state) + 1);
    for (const [state, count] of counts) {
      let chip = $("states").querySelector(`[data-state="${state}"]`);
      if (!chip && (count || table.states.has(state))) {
        chip = element("button", "chip");
        chip.type = "button";
        chip.dataset.state = state;
        chip.append(element("span", `dot ${state}`), element("span", "", state), element("b"));
        chip.addEventListener("click", () => {
          if (!table.states.delete(state)) table.states.add(state);
          remember();
          draw();
        });
        const after = mmdl.STATES.slice(mmdl.STATES.indexOf(state) + 1);
        $("states").insertBefore(chip, [...$("states").children].find((other) => after.includes(other.dataset.state)) ?? null);
      }
      if (!chip) continue;
      chip.querySelector("b").textContent = String(count);
      chip.setAttribute("aria-pressed", String(table.states.has(state)));
      chip.hidden = !count && !table.states.has(state);
    }
  };

  const draw = () => {
    chips();
    table.draw();
    const [some, all] = [table.shown.length, table.rows.size];
    const text = some === all ? `${all} ${all === 1 ? "run" : "runs"}` : `${some} of ${all} runs`;
    if ($("count").textContent !== text) $("count").textContent = text;
    $("none").hidden = some > 0 || !loaded;
    if (some || !loaded) return;
    if (all) $("none").replaceChildren(element("p", "", "No run is like that."), button("Show all", showAll));
    else
      $("none").replaceChildren(
        element("p", "", "No run was begun here yet. This page will show it as soon as one is:"),
        element("code", "", "python -m mmdl train +experiment=vqa quick=true"),
      );
  };

  const button = (text, act) => {
    const made = element("button", "", text);
    made.type = "button";
    made.addEventListener("click", act);
    return made;
  };

  const showAll = () => {
    $("filter").value = "";
    table.words = [];
    table.states.clear();
    remember();
    draw();
    $("filter").focus();
  };

  // -- following the server ------------------------------------------------------------------------------------------

  const take = (news) => {
    tag = news.tag;
    mmdl.setNow(news.now);
    if (news.whole) table.rows.clear();
    for (const id of news.gone) table.rows.delete(id);
    for (const row of news.rows) table.rows.set(row.id, row);
    $("root").textContent = news.root;
    $("notes").hidden = !news.notes.length;
    const list = element("ul");
    list.append(...news.notes.slice(0, 20).map((note) => element("li", "", note)));
    if (news.notes.length > 20) list.append(element("li", "", `and ${news.notes.length - 20} more`));
    $("notes").replaceChildren(list);
    const first = !loaded;
    loaded = true;
    if (first) recall();
    const gone = [...table.chosen].filter((id) => !table.rows.has(id));
    if (gone.length) {
      table.setChosen([...table.chosen].filter((id) => table.rows.has(id)));
      overlay.show([...table.chosen]);
    }
    draw();
    const running = [...table.rows.values()].filter((row) => row.state === "running").length;
    document.title = running ? `(${running} running) Runs` : "Runs";
    if (!first && news.rows.some((row) => table.chosen.has(row.id))) overlay.grow();
  };

  const poll = async () => {
    clearTimeout(timer);
    timer = null;
    if (document.hidden) return; // a page that nobody sees asks nothing
    const began = performance.now();
    const news = await mmdl.ask(`/api/runs?since=${encodeURIComponent(tag)}`);
    const took = performance.now() - began;
    lost = news === null ? lost + 1 : 0;
    $("link").classList.toggle("lost", lost > 0);
    $("link-text").textContent = lost ? "no answer: has the server ended? Trying again" : "live";
    if (news) take(news);
    const wait = lost ? Math.min(LOST_MS, POLL_MS * lost) : Math.min(SLOWEST_MS, Math.max(POLL_MS, 12 * took));
    if (timer === null) timer = setTimeout(poll, wait);
  };

  document.addEventListener("visibilitychange", () => document.hidden || poll());
  addEventListener("hashchange", () => {
    recall();
    draw();
  });
  $("clear").addEventListener("click", () => {
    table.setChosen([]);
    remember();
    overlay.show([]);
  });

  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type=checkbox]), select, textarea");
    if (event.key === "/" && !typing) {
      event.preventDefault();
      $("filter").focus();
      $("filter").select();
    } else if (event.key === "Escape" && event.target === $("filter") && $("filter").value) {
      event.preventDefault();
      showAll();
    } else if ((event.key === "ArrowDown" || event.key === "Enter") && event.target === $("filter")) {
      event.preventDefault();
      table.drawn.get(table.active)?.tr.focus();
    } else if (event.key === "Escape" && event.target.closest?.("#rows") && table.chosen.size) $("clear").click();
  });

  poll();
})();
