// Puts changed parts into the page: the nodes stay and only what differs is written, so that focus, selection,
// scroll and what the reader has opened survive. A figure that changed tints once, a new row is marked.
//
// [data-figure="7.2"]  tints in its direction when the number changes
// [data-row][id]       is marked when it arrives
// [data-keep]          is left as it is: for what a script has drawn
import { Idiomorph } from "../../vendor/idiomorph-0.8.0/idiomorph.esm.js";
import { offerNews } from "./news.js";
import { keptPlace } from "./place.js";

const PASSING = ["flash-up", "flash-down", "arrive"];
const shown = new Map(); // id → the part as it came last

export function showParts(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  for (const fresh of [...template.content.children]) {
    const old = document.getElementById(fresh.id);
    const text = fresh.outerHTML;
    if (!old || shown.get(fresh.id) === text) continue;
    shown.set(fresh.id, text);
    swap(old, fresh);
  }
}

function swap(old, fresh) {
  const id = fresh.id;
  const changed = [];
  const rows = new Set(rowsIn(old).map((row) => row.id));
  const restore = [keptSelection(old), keptPlace(old)];
  Idiomorph.morph(old, fresh, {
    morphStyle: "outerHTML",
    ignoreActiveValue: true,
    callbacks: {
      beforeNodeMorphed: (was, is) => {
        if (was.nodeType !== Node.ELEMENT_NODE) return true;
        if (was.dataset.keep !== undefined || isSameTime(was, is)) return false;
        const direction = directionOf(was, is);
        if (direction) changed.push([was, direction]);
        for (const name of PASSING) if (was.classList.contains(name)) is.classList.add(name);
        return true;
      },
      beforeAttributeUpdated: (name, element) => !(name === "open" && element.matches("details")),
    },
  });
  const root = document.getElementById(id);
  for (const one of restore) one();
  const arrived = rowsIn(root).filter((row) => !rows.has(row.id));
  if (!document.hidden) {
    for (const [figure, direction] of changed) pass(figure, direction);
    for (const row of arrived) pass(row, "arrive");
  }
  offerNews(arrived);
  window.htmx?.process(root);
  root.dispatchEvent(new CustomEvent("live:part", { bubbles: true, detail: { id } }));
}

function rowsIn(root) {
  return [...root.querySelectorAll("[data-row][id]")];
}

// Its text is in the reader's zone already; the part has it in UTC.
function isSameTime(was, is) {
  return (
    was.matches("time[data-show]") && is.dateTime === was.dateTime && is.dataset.show === was.dataset.show
  );
}

function directionOf(was, is) {
  const [before, after] = [was.dataset.figure, is.dataset?.figure];
  if (!before || !after || before === after) return "";
  const difference = Number(after) - Number(before);
  return difference > 0 ? "flash-up" : difference < 0 ? "flash-down" : "";
}

function pass(element, name) {
  element.classList.remove(...PASSING);
  void element.getBoundingClientRect(); // so that it begins anew
  element.classList.add(name);
  const over = ({ target }) => {
    if (target !== element) return;
    element.classList.remove(name);
    element.removeEventListener("animationend", over);
  };
  element.addEventListener("animationend", over);
}

function keptSelection(root) {
  const selection = getSelection();
  if (!selection || selection.isCollapsed || !selection.containsNode(root, true)) return () => {};
  const { anchorNode, anchorOffset, focusNode, focusOffset } = selection;
  return () => {
    if (!anchorNode.isConnected || !focusNode.isConnected) return;
    selection.setBaseAndExtent(
      anchorNode, Math.min(anchorOffset, lengthOf(anchorNode)),
      focusNode, Math.min(focusOffset, lengthOf(focusNode)),
    );
  };
}

function lengthOf(node) {
  return node.nodeType === Node.TEXT_NODE ? node.length : node.childNodes.length;
}
