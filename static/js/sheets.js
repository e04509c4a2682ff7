// Opens the sheet that a link has just filled (hx-target of a popover); where it can't be filled, the
// link is followed as if there were no script.

export function openSheets(root) {
  root.addEventListener("htmx:afterSwap", ({ detail: { target } }) => {
    if (target.popover !== null && target.firstElementChild) target.showPopover();
  });
  for (const failure of ["htmx:responseError", "htmx:sendError", "htmx:timeout"]) {
    root.addEventListener(failure, ({ detail: { elt } }) => {
      if (elt.dataset.sheet) location.assign(elt.href);
    });
  }
}
