"use strict";
// Light and dark: as the system asks, until a button [data-theme-toggle] chooses. Charts listen to "themechange".
(() => {
  const mmdl = (window.mmdl ??= {});
  const root = document.documentElement;
  const system = matchMedia("(prefers-color-scheme: dark)");
  const KEY = "mmdl-theme";

  // A file opened from disk may have no storage at all: the choice then lives as long as the page.
  const stored = (value) => {
    try {
      if (value === undefined) return localStorage.getItem(KEY);
      localStorage.setItem(KEY, value);
    } catch {
      return null;
    }
    return value;
  };

  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

  const show = () => {
    for (const button of document.querySelectorAll("[data-theme-toggle]")) {
      button.setAttribute("aria-pressed", String(isDark()));
      button.textContent = isDark() ? "Light" : "Dark";
      button.setAttribute("aria-label", `Dark colours are ${isDark() ? "on" : "off"}`);
    }
    dispatchEvent(new Event("themechange"));
  };

  mmdl.css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  mmdl.isDark = isDark;

  const before = stored();
  if (before === "light" || before === "dark") root.dataset.theme = before;
  system.addEventListener("change", show);
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.("[data-theme-toggle]")) return;
    root.dataset.theme = isDark() ? "light" : "dark";
    stored(root.dataset.theme);
    show();
  });
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", show);
  else show();
})();
