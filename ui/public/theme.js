// Runs before the first paint, so that a dark page never flashes white. Not inline, so that a strict
// Content-Security-Policy (script-src 'self') holds.
(() => {
  let choice = "auto";
  let density = "compact";
  try {
    choice = localStorage.getItem("twinlens.theme") || "auto";
    density = localStorage.getItem("twinlens.density") || "compact";
  } catch {
    // Storage may be blocked; the defaults stand.
  }
  const dark = choice === "dark" || (choice === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.mantineColorScheme = dark ? "dark" : "light";
  document.documentElement.dataset.density = density === "comfortable" ? "comfortable" : "compact";
})();
