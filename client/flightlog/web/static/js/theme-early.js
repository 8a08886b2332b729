// Runs before the first paint, as a classic script, so that a chosen theme does not flash the other one.
// Storage can be forbidden; then the system's choice stands.
try {
  const chosen = localStorage.getItem("flightlog.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch { /* no storage here */ }
