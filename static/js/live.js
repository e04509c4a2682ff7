// Keeps a page moving: parts come by the socket or, while it is down, by asking; never an old number as new.
// <main data-live="bot:<id>"> names what the page shows, <body data-around="…"> what stands around every page;
// #conn says how the line is. After each part that was changed the
// part itself tells `live:part` (detail.id), which bubbles: for scripts that draw from it.
import { Line } from "./live/line.js";
import { showParts } from "./live/swap.js";
import { Sign } from "./live/sign.js";

const page = document.querySelector("main[data-live]");
const topics = [page?.dataset.live, document.body.dataset.around].filter(Boolean);

if (topics.length) {
  const sign = page && new Sign(document.getElementById("conn"), page);
  const line = new Line(topics, {
    onParts: (html) => showParts(html),
    onState: (state) => sign?.show(state),
    onMessage: () => sign?.blink(),
    // Signed out, or no longer the reader's: the page itself says which. One that does not move may hold what
    // somebody has typed: it stays.
    onGone: () => page && location.reload(),
  });
  line.open();
  addEventListener("online", () => line.hurry());
  addEventListener("pageshow", () => line.hurry());
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) line.hurry();
  });
}
