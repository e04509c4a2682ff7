// Toasts: gone after 6 s unless pointed at or focused, three at most, critical ones until dismissed.
// Those that came with the page are put in again, since a status region announces only what is added.

const LASTS = 6000;
const MOST = 3;

export function toast(text, { level = "info", sub = "", root = document } = {}) {
  const icons = { error: "warn", warning: "warn", success: "check", info: "info" };
  const element = root.createElement("div");
  element.className = `toast${{ error: " bad", warning: " warn" }[level] ?? ""}`;
  if (level === "error") element.dataset.stay = "";
  element.append(drawing(root, icons[level] ?? "info", "ico"), words(root, text));
  const close = root.createElement("button");
  close.type = "button";
  close.className = "close";
  close.ariaLabel = "Dismiss";
  close.append(drawing(root, "x", "ico ico-s"));
  element.append(close);
  if (sub) element.append(words(root, sub, "sub"));
  show(root.getElementById("toasts"), element);
}

export function showWaitingToasts(root) {
  const region = root.getElementById("toasts");
  if (!region) return;
  const waiting = [...region.children];
  region.replaceChildren();
  requestAnimationFrame(() => waiting.forEach((element) => show(region, element)));
}

function show(region, element) {
  if (!region) return;
  region.append(element);
  const passing = [...region.children].filter((one) => !("stay" in one.dataset));
  for (const old of passing.slice(0, Math.max(0, region.children.length - MOST))) old.remove();
  element.querySelector(".close")?.addEventListener("click", () => element.remove());
  if (!("stay" in element.dataset)) leaveInTime(element);
}

function leaveInTime(element) {
  let left = LASTS;
  let since = 0;
  let timer;
  const run = () => {
    since = Date.now();
    timer = setTimeout(() => element.remove(), left);
  };
  const hold = () => {
    clearTimeout(timer);
    left = Math.max(1000, left - (Date.now() - since));
  };
  element.addEventListener("pointerenter", hold);
  element.addEventListener("focusin", hold);
  element.addEventListener("pointerleave", run);
  element.addEventListener("focusout", run);
  run();
}

function words(root, text, name = "") {
  const span = root.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}

function drawing(root, name, classes) {
  const svg = root.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", classes);
  svg.setAttribute("aria-hidden", "true");
  const use = root.createElementNS("http://www.w3.org/2000/svg", "use");
  const sheet = root.querySelector("svg.ico use").getAttribute("href").split("#")[0];
  use.setAttribute("href", `${sheet}#${name}`);
  svg.append(use);
  return svg;
}
