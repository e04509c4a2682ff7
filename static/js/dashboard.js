// The curves of the dashboard: all bots together, or the return of each beside the others. Rules are grey, and
// told apart by their dashes and by the names at their ends.
import { Curves } from "./charts/curves.js";
import { Feed, askOnChange, say } from "./charts/feed.js";

const RULE_DASHES = [[5, 4], [1, 3], [8, 3, 2, 3], [3, 2], [12, 4]];
const host = document.getElementById("curves-chart");

if (host) {
  const isNarrow = matchMedia("(max-width: 40rem)").matches;
  let curves = null;

  const feed = new Feed(host.dataset.src, {
    onData: (told) => {
      show(told);
      if (feed.isWaiting) feed.ask();
    },
    onProblem: (problem) => {
      if (!curves) say(host, problem);
    },
  });

  function show({ at, unit, series }) {
    say(host, "");
    const isReturn = unit === "%";
    const readout = document.getElementById("curves-read");
    curves ??= new Curves(host, { readout, format: isReturn ? percent : money, hasNames: isReturn && !isNarrow });
    let rules = 0;
    curves.show({
      at: at.map((one) => one / 1000),
      series: series.map((one) => ({
        ...one,
        area: !isReturn,
        dash: one.colour === 0 ? RULE_DASHES[rules++ % RULE_DASHES.length] : undefined,
      })),
    });
    const ends = series.map((one) => `${one.name} ${isReturn ? percent(one.values.at(-1)) : `${money(one.values.at(-1))} ${unit}`}`);
    host.ariaLabel = `${host.dataset.name}: ${ends.join(", ")}`;
  }

  say(host, "Reading the curves…");
  askOnChange("dashboard-totals", () => feed.ask());
  feed.ask();
}

function percent(value, decimals = 2) {
  const text = Math.abs(value ?? 0).toFixed(decimals);
  const sign = Number(text) === 0 ? "" : value < 0 ? "−" : "+";
  return `${sign}${text}%`;
}

function money(value, decimals = 2) {
  return value.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
}
