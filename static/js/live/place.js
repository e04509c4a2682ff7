// Keeps what the reader looks at where it is while rows come and go above it. Browsers do this by themselves, some
// of them, and follow a row that moves to the top; here most of what is in sight decides. A reader who is at
// the top stays there, and sees what arrives.

const COLUMNS = [0.15, 0.5, 0.85];
const ROWS = 16;

export function keptPlace(root) {
  const before = scrollersOf(root).map((scroller) => ({ scroller, seen: seenIn(scroller, root) }));
  return () => {
    for (const { scroller, seen } of before) {
      const moved = seen
        .filter(({ element }) => element.isConnected)
        .map(({ element, top }) => element.getBoundingClientRect().top - top)
        .sort((a, b) => a - b);
      const most = moved[Math.floor(moved.length / 2)];
      if (most && Math.abs(most) >= 1) scroller.scrollTop += most;
    }
  };
}

// Those that are scrolled down, the inner ones first. What scrolls inside a page can be focused: [tabindex].
function scrollersOf(root) {
  const around = [];
  for (let at = root; at; at = at.parentElement) around.push(at);
  return [...root.querySelectorAll("[tabindex]"), ...around].filter((one) => one.scrollTop > 0);
}

// What is in sight, by looking at points of it; what holds the part itself does not tell whether it moved.
function seenIn(scroller, root) {
  const page = document.querySelector("main");
  const isPage = scroller === document.scrollingElement;
  const area = (isPage ? page : scroller).getBoundingClientRect();
  const [top, bottom] = [Math.max(0, area.top), Math.min(innerHeight, area.bottom)];
  const seen = [];
  for (const column of COLUMNS) {
    for (let row = 0.5; row < ROWS; row += 1) {
      const x = area.left + area.width * column;
      const element = document.elementFromPoint(x, top + ((bottom - top) * row) / ROWS);
      if (!element || element.contains(root) || !page.contains(element) || !scroller.contains(element)) continue;
      seen.push({ element, top: element.getBoundingClientRect().top });
    }
  }
  return seen;
}
