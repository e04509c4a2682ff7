// Puts every <time data-show> into the reader's zone (data-zone of <html>, else the browser's), also in
// parts that arrive later. The server writes UTC, so that one rendering serves every reader. The trap:
// an observer that wakes itself; a text is only written where it differs.

const formats = new Map();

export function zoneOf(root) {
  const wanted = root.documentElement.dataset.zone;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: wanted || undefined }).resolvedOptions().timeZone;
  } catch {
    return "UTC"; // a zone that this browser does not know
  }
}

function parts(at, zone) {
  if (!formats.has(zone)) {
    formats.set(
      zone,
      new Intl.DateTimeFormat("en-GB", {
        timeZone: zone, year: "numeric", month: "short", day: "numeric",
        hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
      }),
    );
  }
  const found = Object.fromEntries(formats.get(zone).formatToParts(at).map((p) => [p.type, p.value]));
  found.month = found.month.slice(0, 3); // "Sept" to some
  return found;
}

// As `instant` in bots/templatetags/figures.py.
export function instantText(at, show, zone, now = new Date()) {
  const p = parts(at, zone);
  const day = `${p.day} ${p.month}`;
  const time = `${p.hour}:${p.minute}`;
  if (show === "auto") {
    const today = parts(now, zone);
    const sameYear = p.year === today.year;
    show = sameYear && day === `${today.day} ${today.month}` ? "time" : sameYear ? "short" : "full";
  }
  return {
    time, day,
    seconds: `${time}:${p.second}`,
    short: `${day}, ${time}`,
    date: `${day} ${p.year}`,
    full: `${day} ${p.year}, ${time}`,
  }[show];
}

function localise(element, zone) {
  const at = new Date(element.dateTime);
  const text = instantText(at, element.dataset.show, zone);
  if (text === undefined || Number.isNaN(at.getTime())) return;
  if (element.textContent !== text) element.textContent = text;
}

export function localiseTimes(root) {
  const zone = zoneOf(root);
  const all = (node) => node.querySelectorAll("time[data-show]");
  for (const element of all(root)) localise(element, zone);
  for (const name of root.querySelectorAll("[data-zone-name]")) name.textContent = `Times in ${zone}.`;
  for (const field of root.querySelectorAll("input[data-browser-zone]")) field.value ||= zone;
  new MutationObserver((records) => {
    const touched = new Set();
    for (const record of records) {
      const at = record.target.nodeType === Node.ELEMENT_NODE ? record.target : record.target.parentElement;
      const own = at?.closest("time[data-show]");
      if (own) touched.add(own);
      for (const node of record.addedNodes) {
        if (node.nodeType !== Node.ELEMENT_NODE) continue;
        if (node.matches("time[data-show]")) touched.add(node);
        for (const element of all(node)) touched.add(element);
      }
    }
    for (const element of touched) localise(element, zone);
  }).observe(root.body, {
    subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: ["datetime"],
  });
}
