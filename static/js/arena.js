// The curves of an arena: returns of all entrants since their common start. Each keeps the colour and the dash
// that it has in the legend, from which both are read, so that page and drawing can't differ.
import { Curves } from "./charts/curves.js";
import { Feed, askOnChange, say } from "./charts/feed.js";

const host = document.getElementById("arena-chart");

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

  function show({ at, series }) {
    say(host, "");
    const readout = document.getElementById("arena-read");
    curves ??= new Curves(host, { readout, format: percent, hasNames: !isNarrow });
    curves.show({
      at: at.map((one) => one / 1000),
      series: series.map((one) => ({ ...one, dash: dashOf(one.name) })),
    });
    const last = series.map((one) => `${one.name} ${percent(one.values.at(-1))}`);
    host.role = "img";
    host.ariaLabel = `Return since the common start: ${last.join(", ")}`;
  }

  say(host, "Reading the curves…");
  askOnChange("arena-table", () => feed.ask());
  feed.ask();
}

function dashOf(name) {
  const row = [...document.querySelectorAll("#arena-legend li")].find((one) => one.dataset.label === name);
  const line = row?.querySelector("line");
  const dash = line ? getComputedStyle(line).strokeDasharray : "none";
  return dash === "none" ? [] : dash.split(",").map((one) => parseFloat(one));
}

function percent(value, decimals = 2) {
  const text = Math.abs(value).toFixed(decimals);
  const sign = Number(text) === 0 ? "" : value < 0 ? "−" : "+";
  return `${sign}${text}%`;
}
