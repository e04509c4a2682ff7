// Keeps the chosen theme in the cookie that the server reads, and shows it at once. Without this script
// the same form is sent to the server.

const KEPT_SECONDS = 400 * 24 * 3600;

export function keepTheme(root) {
  root.addEventListener("change", (event) => {
    const input = event.target;
    if (!input.closest?.("[data-theme-picker]") || input.name !== "theme") return;
    const age = input.value ? KEPT_SECONDS : 0;
    root.cookie = `theme=${input.value}; path=/; max-age=${age}; samesite=lax`;
    if (input.value) root.documentElement.dataset.theme = input.value;
    else delete root.documentElement.dataset.theme;
    for (const other of root.querySelectorAll("[data-theme-picker] input[name=theme]")) {
      other.checked = other.value === input.value;
    }
    root.dispatchEvent(new CustomEvent("theme-changed")); // charts read their colours again
  });
}
