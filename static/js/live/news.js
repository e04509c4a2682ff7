// "3 new": rows that came on top while the reader was further down wait behind a button; nothing jumps. It
// hangs at the upper edge of what scrolls, and goes when the rows are seen.

const GAP = 8;
const waiting = new Map(); // scroller → { button, rows }

export function offerNews(rows) {
  for (const row of rows) {
    const scroller = scrollerOf(row);
    if (!isAbove(row, scroller)) continue;
    const news = waiting.get(scroller) ?? begin(scroller);
    news.rows.push(row);
    update(scroller);
  }
}

function begin(scroller) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "btn small news";
  const news = { button, rows: [] };
  button.addEventListener("click", () => {
    news.rows.find((row) => row.isConnected)?.scrollIntoView({ block: "center" });
    end(scroller);
  });
  waiting.set(scroller, news);
  document.body.append(button);
  (scroller === page() ? document : scroller).addEventListener("scroll", update.bind(null, scroller), {
    passive: true, signal: (news.over = new AbortController()).signal,
  });
  addEventListener("resize", () => update(scroller), { signal: news.over.signal });
  if (scroller !== page()) {
    document.addEventListener("scroll", () => update(scroller), { passive: true, signal: news.over.signal });
  }
  return news;
}

function update(scroller) {
  const news = waiting.get(scroller);
  if (!news) return;
  news.rows = news.rows.filter((row) => row.isConnected && isAbove(row, scroller));
  if (!news.rows.length) {
    end(scroller);
    return;
  }
  const text = `${news.rows.length} new`;
  if (news.button.textContent !== text) news.button.textContent = text;
  const edge = edgeOf(scroller);
  news.button.hidden = edge.bottom < edge.top + GAP;
  news.button.style.top = `${edge.top + GAP}px`; // as properties, which the page's policy allows
  news.button.style.left = `${edge.middle}px`;
}

function end(scroller) {
  const news = waiting.get(scroller);
  waiting.delete(scroller);
  news.over.abort();
  news.button.remove();
}

function page() {
  return document.scrollingElement;
}

function scrollerOf(row) {
  for (let at = row.parentElement; at && at !== document.body; at = at.parentElement) {
    const scrolls = /auto|scroll/.test(getComputedStyle(at).overflowY);
    if (scrolls && at.scrollHeight > at.clientHeight) return at;
  }
  return page();
}

// Where the reader's sight of it begins: below what stays at the top of the page.
function edgeOf(scroller) {
  const head = document.querySelector("header.head")?.getBoundingClientRect().bottom ?? 0;
  const main = document.querySelector("main").getBoundingClientRect();
  if (scroller === page()) {
    return { top: Math.max(0, head), bottom: innerHeight, middle: main.left + main.width / 2 };
  }
  const own = scroller.getBoundingClientRect();
  return { top: Math.max(own.top, head, 0), bottom: own.bottom, middle: own.left + own.width / 2 };
}

function isAbove(row, scroller) {
  return row.getBoundingClientRect().bottom <= edgeOf(scroller).top;
}
