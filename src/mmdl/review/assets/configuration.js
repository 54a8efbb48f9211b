"use strict";
// Search in all configurations: only the lines that hold all words stay, and configurations without one are closed.
(() => {
  const search = document.getElementById("config-search");
  const found = document.getElementById("config-found");
  const blocks = [...document.querySelectorAll("#configuration details.run-block")].map((block) => {
    const pre = block.querySelector("pre");
    return { block, pre, count: block.querySelector("[data-config-count]"), lines: pre.textContent.split("\n") };
  });
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let total = 0;
    for (const { block, pre, count, lines } of blocks) {
      const kept = lines.filter((line) => words.every((word) => line.toLowerCase().includes(word)));
      pre.textContent = kept.join("\n");
      count.textContent = words.length ? `${kept.length} of ${lines.length} lines` : `${lines.length} lines`;
      block.hidden = words.length > 0 && !kept.length;
      block.open = words.length > 0 && kept.length > 0;
      total += kept.length;
    }
    found.textContent = words.length ? `${total} lines` : "";
  });
})();
