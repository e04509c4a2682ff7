// The look's colours for canvases, which can't read light-dark(): taken as computed by the browser from elements
// that have the classes, and again when the theme changes.

const CLASSES = {
  text: "t2", label: "t3", up: "up", down: "down", danger: "hit-word", warn: "near-word",
  s0: "key s0", s1: "key s1", s2: "key s2", s3: "key s3", s4: "key s4", s5: "key s5", s6: "key s6",
};

// { text, label, up, down, danger, warn, accent, line, strong, surface, s0 … s6, font }
export function coloursOf(root = document.body) {
  const probe = document.createElement("span");
  probe.hidden = true;
  root.append(probe);
  const found = {};
  for (const [name, className] of Object.entries(CLASSES)) {
    probe.className = className;
    found[name] = getComputedStyle(probe).color;
  }
  probe.className = "card";
  const card = getComputedStyle(probe);
  Object.assign(found, { surface: card.backgroundColor, line: card.borderTopColor });
  probe.className = "btn";
  found.strong = getComputedStyle(probe).borderTopColor;
  const link = document.createElement("a");
  link.href = "#";
  probe.replaceChildren(link);
  found.accent = getComputedStyle(link).color;
  found.font = getComputedStyle(document.body).fontFamily;
  probe.remove();
  return found;
}

export function withAlpha(colour, alpha) {
  const parts = colour.match(/[\d.]+/g);
  return parts ? `rgba(${parts.slice(0, 3).join(", ")}, ${alpha})` : colour;
}

// Calls when colours may have changed: the reader chose another theme, or their system did.
export function onThemeChange(redraw) {
  document.addEventListener("theme-changed", redraw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
}
