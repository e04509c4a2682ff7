// Keeps a page moving: parts come by the socket or, while it is down, by asking; never an old number as new.
// Needs <main data-live="bot:<id>"> and, to say how the line is, #conn. After each part that was changed the
// part itself tells `live:part` (detail.id), which bubbles: for scripts that draw from it.
import { Line } from "./live/line.js";
import { showParts } from "./live/swap.js";
import { Sign } from "./live/sign.js";

const page = document.querySelector("[data-live]");

if (page) {
  const sign = new Sign(document.getElementById("conn"), page);
  const line = new Line(page.dataset.live, {
    onParts: (html) => showParts(html),
    onState: (state) => sign.show(state),
    onMessage: () => sign.blink(),
    onGone: () => location.reload(), // signed out, or no longer the reader's: the page itself says which
  });
  line.open();
  addEventListener("online", () => line.hurry());
  addEventListener("pageshow", () => line.hurry());
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) line.hurry();
  });
}
