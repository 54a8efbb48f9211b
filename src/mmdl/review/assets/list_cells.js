"use strict";
// Columns of the list of runs: heading, value to sort by, and what a cell shows. All text of runs goes in as text.
(() => {
  const mmdl = (window.mmdl ??= {});
  const { element, number } = mmdl;

  const STATES = ["running", "finished", "failed", "stopped", "preempted", "killed", "unknown"];

  const address = (id) => `/run/${id.split("/").map(encodeURIComponent).join("/")}`;

  const clock = (seconds, today = false) => {
    const when = new Date(1000 * seconds);
    return today ? when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }) : when.toLocaleString();
  };

  // 3 s, 12 min, 2 h 5 min, 3 d: a length of time in few characters.
  const span = (seconds) => {
    const s = Math.max(0, Math.round(seconds));
    if (s < 60) return `${s} s`;
    if (s < 3600) return `${Math.floor(s / 60)} min${s < 600 && s % 60 ? ` ${s % 60} s` : ""}`;
    if (s < 86400) return `${Math.floor(s / 3600)} h${s % 3600 >= 60 ? ` ${Math.floor((s % 3600) / 60)} min` : ""}`;
    const hours = Math.floor((s % 86400) / 3600);
    return `${Math.floor(s / 86400)} d${hours ? ` ${hours} h` : ""}`;
  };

  const ago = (seconds, now) => {
    const past = now - seconds;
    if (past < 5) return "just now";
    return past < 60 ? `${Math.round(past)} s ago` : `${span(past - (past % (past < 3600 ? 60 : 3600)))} ago`;
  };

  const seconds = (row, now) => row.seconds ?? (row.state === "running" && row.started != null ? now - row.started : null);

  const left = (row, now) => {
    if (row.state !== "running" || row.left_s == null) return null;
    return Math.max(0, row.left_s - Math.max(0, now - row.updated));
  };

  const run = (row) => {
    const parts = [];
    const link = element("a", "run-id", row.id);
    link.href = address(row.id);
    link.tabIndex = -1;
    parts.push(link);
    const about = element("span", "about");
    if (row.name && row.name !== row.id) about.append(element("span", "", row.name));
    for (const tag of row.tags) about.append(element("span", "tag", tag));
    if (row.gaps.length) {
      const gap = element("span", "gap", row.gaps.length === 1 ? row.gaps[0] : `${row.gaps.length} things missing`);
      gap.title = row.gaps.join("\n");
      about.append(gap);
    }
    if (about.childNodes.length) parts.push(about);
    return parts;
  };

  const state = (row) => {
    const badge = element("span", `badge ${row.state}`, row.state);
    if (row.error) badge.title = row.error;
    const parts = [badge];
    if (row.error) parts.push(element("span", "why", row.error.split("\n")[0]));
    return parts;
  };

  const progress = (row, now) => {
    const bar = element("progress", `bar ${row.state}`);
    bar.max = 1;
    const share = row.share;
    const parts = [];
    if (share != null) {
      bar.value = share;
      bar.setAttribute("aria-label", `${Math.floor(100 * share)}%`);
      parts.push(bar);
    }
    const said = [];
    if (row.silent) said.push(`no sign of life since ${clock(row.updated, now - row.updated < 72000)}`);
    else if (left(row, now) != null) said.push(`${span(left(row, now))} left`);
    if (row.state !== "finished") {
      if (share != null) said.unshift(`${Math.floor(100 * share)}%`);
      if (row.step != null && row.state !== "running") said.push(`step ${row.step.toLocaleString("en-US")}`);
    }
    const words = element("span", row.silent ? "under silent" : "under", said.join(" · "));
    const where = [];
    if (row.step != null) where.push(`step ${row.step}${row.total ? ` of ${row.total}` : ""}`);
    if (row.epoch != null) where.push(`epoch ${row.epoch}${row.epochs ? ` of ${row.epochs}` : ""}`);
    if (row.samples_per_s != null) where.push(`${number(row.samples_per_s, 3)} samples/s`);
    words.title = where.join(", ");
    if (said.length) parts.push(words);
    return parts;
  };

  const fixed = (value) => (Math.abs(value) < 1000 && Math.abs(value) >= 1e-3 ? value.toFixed(4) : number(value));

  const metric = (row) => {
    if (row.value == null) return row.metric ? [element("span", "under", `no ${row.metric} yet`)] : [];
    const value = element("strong", "", fixed(row.value));
    const parts = [value];
    if (row.low != null) {
      const ends = element("span", "ends", `${fixed(row.low)} to ${fixed(row.high)}`);
      ends.title = "95% interval";
      parts.push(" ", ends);
    }
    const what = row.metric === row.monitor ? `best ${row.metric} so far` : row.metric;
    parts.push(element("span", "under", what + (row.n != null ? `, n = ${row.n.toLocaleString("en-US")}` : "")));
    return parts;
  };

  const validation = (row) => {
    if (row.best == null) return [];
    const parts = [element("span", "", fixed(row.best))];
    const words = row.last != null && row.last !== row.best ? `last ${fixed(row.last)}` : "";
    if (words) parts.push(element("span", "under", words));
    return parts;
  };

  const plain = (key) => (row) => (row[key] == null || row[key] === "" ? [] : [String(row[key])]);

  const time = (key) => (row, now) => {
    if (row[key] == null) return [];
    const made = element("time", "", ago(row[key], now));
    made.dateTime = new Date(1000 * row[key]).toISOString();
    made.title = clock(row[key]);
    return [made];
  };

  // ages: what it shows changes with the clock. down: the first click sorts with the greatest first.
  mmdl.COLUMNS = [
    { key: "id", title: "Run", sort: (row) => row.id, cell: run, head: true },
    { key: "state", title: "State", sort: (row) => STATES.indexOf(row.state), cell: state },
    { key: "progress", title: "Progress", sort: (row) => row.share, cell: progress, ages: true, down: true },
    { key: "metric", title: "Score", sort: (row) => row.value, cell: metric, down: true, number: true },
    { key: "best", title: "Best validation", sort: (row) => row.best, cell: validation, down: true, number: true },
    { key: "data", title: "Data", sort: (row) => row.data, cell: plain("data") },
    { key: "model", title: "Model", sort: (row) => row.model, cell: plain("model") },
    { key: "seed", title: "Seed", sort: (row) => row.seed, cell: plain("seed"), number: true },
    { key: "took", title: "Took", sort: (row) => seconds(row, mmdl.now()), ages: true, number: true,
      cell: (row, now) => (seconds(row, now) == null ? [] : [span(seconds(row, now))]) },
    { key: "started", title: "Started", sort: (row) => row.started, cell: time("started"), ages: true, down: true },
    { key: "updated", title: "Last sign", sort: (row) => row.updated, cell: time("updated"), ages: true, down: true },
  ];

  // Words of the filter: a word occurs anywhere in the row, key:word in that field.
  const fields = (row) => [row.id, row.name, row.state, row.data, row.model, row.task, row.monitor, row.host, ...row.tags];
  mmdl.matches = (row, words) =>
    words.every((word) => {
      const [key, ...rest] = word.split(":");
      if (rest.length && key in row && rest.join(":")) {
        const value = String(Array.isArray(row[key]) ? row[key].join(" ") : row[key] ?? "").toLowerCase();
        return typeof row[key] === "number" ? value === rest.join(":") : value.includes(rest.join(":"));
      }
      row.searched ??= fields(row).join("\n").toLowerCase();
      return row.searched.includes(word);
    });

  // The clock of the server: that of a machine that is reached over SSH may be another.
  let ahead = 0;
  mmdl.now = () => Date.now() / 1000 + ahead;
  mmdl.setNow = (now) => (ahead = now - Date.now() / 1000);

  Object.assign(mmdl, { STATES, address });
})();
