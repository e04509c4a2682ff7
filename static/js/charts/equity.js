// The equity of one bot, beside what was paid in where that is near.
import { Curves } from "./curves.js";
import { Feed, askOnChange, say } from "./feed.js";

const NEAR = 2; // what was paid in is drawn when it is within so many heights of the curve

export function beginEquity(root = document) {
  const host = root.getElementById("equity-chart");
  if (!host) return;
  const points = new Map(); // ms → equity
  let curves = null;

  const feed = new Feed(host.dataset.src, {
    onData: (told) => {
      for (const [at, equity] of told.points) points.set(at, equity);
      show(told.now);
      if (feed.isWaiting) ask();
    },
    onProblem: (problem) => {
      if (!points.size) say(host, problem);
    },
  });
  const ask = () => feed.ask(points.size ? { since: Math.max(...points.keys()) } : {});

  function show(now) {
    const known = new Map(points);
    if (now) known.set(...now);
    const at = [...known.keys()].sort((one, other) => one - other);
    if (!at.length) {
      say(host, "No equity is stored in this time yet: the first point comes with the first decision.");
      return;
    }
    say(host, "");
    curves ??= new Curves(host, { readout: root.getElementById("equity-read"), format: money });
    const values = at.map((one) => known.get(one));
    const series = [{ name: "equity", colour: 1, values, area: true }];
    const paidIn = Number(host.dataset.from);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const reach = Math.max(high - low, high * 0.0005) * NEAR;
    if (paidIn > low - reach && paidIn < high + reach) {
      series.push({ name: "paid in", colour: 0, values: at.map(() => paidIn), isBase: true });
    }
    curves.show({ at: at.map((one) => one / 1000), series });
    const currency = host.dataset.currency;
    host.ariaLabel = `${host.dataset.name}: from ${money(values[0])} to ${money(values.at(-1))} ${currency}, `
      + `lowest ${money(low)}, highest ${money(high)}`;
  }

  say(host, "Reading the equity…");
  askOnChange("bot-stats", ask);
  ask();
}

function money(value, decimals = 2) {
  return value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}
