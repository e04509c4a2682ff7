// Curves over time, drawn by uPlot: one or several lines with their names at their ends, a base line, the value
// under the pointer in words. Each line keeps its colour and its dash everywhere (see .ser and .key in look.css).
import uPlot from "../../vendor/uplot-1.6.32/uPlot.esm.js";
import { instantText, zoneOf } from "../times.js";
import { coloursOf, onThemeChange, withAlpha } from "./theme.js";

const DASHES = { 3: [10, 3], 5: [4, 2], 6: [10, 3, 2, 3] };
const BASE_DASH = [5, 4];
const FONT_PX = 11;
const LINE_PX = 13;
const VALUES_PX = 66;
const MINUTE = 60;
const DAY = 86400;
const EDGE = 24; // half the width of a time
const MOST_DECIMALS = 8;

export class Curves {
  // `readout`: an element for the value under the pointer. `format`: value, decimals (2 if left out) → text.
  constructor(host, { readout = null, format, hasNames = false }) {
    Object.assign(this, { host, readout, format, hasNames });
    this.zone = zoneOf(document);
    onThemeChange(() => this.#make());
    new ResizeObserver(() => this.#resize()).observe(host);
  }

  // at: seconds; series: [{ name, colour, values, area, isBase, dash }]; dash: instead of that of its colour
  show({ at, series }) {
    const isSame = this.plot && this.series.length === series.length
      && this.series.every((one, index) => one.name === series[index].name);
    Object.assign(this, { at, series });
    if (isSame) this.plot.setData(this.#data());
    else this.#make();
  }

  #data() {
    return [this.at, ...this.series.map((one) => one.values)];
  }

  #make() {
    if (!this.series) return;
    this.plot?.destroy();
    const c = (this.colours = coloursOf(this.host));
    this.plot = new uPlot(this.#options(c), this.#data(), this.host);
  }

  #options(c) {
    const font = `${FONT_PX}px ${c.font}`;
    const axis = { stroke: c.label, font, ticks: { show: false }, grid: { stroke: c.line, width: 1 } };
    return {
      ...this.#size(),
      padding: [8, this.hasNames ? this.#namesWidth(font) : 8, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
      scales: { y: { range: (plot, low, high) => ranged(low, high) } },
      tzDate: (at) => uPlot.tzDate(new Date(at * 1000), this.zone),
      axes: [
        { ...axis, space: 70, size: 26, gap: 6, values: (plot, splits, index, space, step) => this.#times(plot, splits, step) },
        { ...axis, side: this.hasNames ? 3 : 1, size: VALUES_PX, gap: 6, space: 36, values: (plot, splits, index, space, step) => this.#values(splits, step) },
      ],
      series: [{}, ...this.series.map((one) => this.#line(one, c))],
      hooks: {
        setCursor: [(plot) => this.#read(plot.cursor.idx)],
        draw: this.hasNames ? [(plot) => this.#names(plot, font)] : [],
      },
    };
  }

  #line({ colour, area, isBase, dash }, c) {
    const stroke = c[`s${colour}`];
    return {
      stroke, width: isBase || colour === 0 ? 1.25 : 1.75,
      dash: dash ?? (isBase || colour === 0 ? BASE_DASH : DASHES[colour]),
      fill: area ? withAlpha(stroke, 0.1) : undefined,
      points: { show: (plot, index) => plot.data[index].filter((one) => one !== null).length < 2 },
      spanGaps: true,
    };
  }

  // Each label differs from the one beside it, and none is cut at the edge.
  #times(plot, splits, step) {
    let day = "";
    return splits.map((at) => {
      const when = new Date(at * 1000);
      const today = instantText(when, "day", this.zone);
      const isNew = day !== "" && today !== day;
      day = today;
      if (plot.valToPos(at, "x") < EDGE) return "";
      if (step >= DAY || isNew) return today;
      return instantText(when, step < MINUTE ? "seconds" : "time", this.zone);
    });
  }

  #values(splits, step) {
    let decimals = 0;
    while (decimals < MOST_DECIMALS && !isWhole(step * 10 ** decimals)) decimals += 1;
    return splits.map((one) => this.format(one, decimals && Math.max(2, decimals)));
  }

  // Names at the ends of their lines (the values then stand at the left), moved apart where lines end close together.
  #names(plot, font) {
    const context = plot.ctx;
    const ratio = devicePixelRatio;
    const ends = this.series.flatMap((one, index) => {
      const last = one.values.findLastIndex((value) => value !== null);
      if (last < 0) return [];
      return [{ one, stroke: plot.series[index + 1].stroke(), y: plot.valToPos(one.values[last], "y", true) }];
    }).sort((one, other) => one.y - other.y);
    const gap = LINE_PX * ratio;
    for (let index = 1; index < ends.length; index += 1) {
      ends[index].y = Math.max(ends[index].y, ends[index - 1].y + gap);
    }
    const over = ends.length ? Math.max(0, ends.at(-1).y - plot.bbox.top - plot.bbox.height) : 0;
    context.save();
    context.font = font.replace(`${FONT_PX}px`, `${FONT_PX * ratio}px`);
    context.textBaseline = "middle";
    context.textAlign = "left";
    for (const { one, stroke, y } of ends) {
      context.fillStyle = stroke;
      context.fillText(one.name, plot.bbox.left + plot.bbox.width + 8 * ratio, y - over);
    }
    context.restore();
  }

  #namesWidth(font) {
    const context = document.createElement("canvas").getContext("2d");
    context.font = font;
    return 12 + Math.max(0, ...this.series.map((one) => context.measureText(one.name).width));
  }

  #read(index) {
    if (!this.readout) return;
    if (index === null || index === undefined) {
      this.readout.textContent = "";
      return;
    }
    const when = instantText(new Date(this.at[index] * 1000), "short", this.zone);
    const said = this.series.filter((one) => !one.isBase && one.values[index] !== null)
      .map((one) => (this.series.length > 2 ? `${one.name} ` : "") + this.format(one.values[index]));
    this.readout.textContent = said.length ? `${when} · ${said.join(" · ")}` : "";
  }

  #size() {
    return { width: Math.max(this.host.clientWidth, 120), height: Math.max(this.host.clientHeight, 80) };
  }

  #resize() {
    if (!this.plot) return;
    const { width, height } = this.#size();
    if (width !== this.plot.width || height !== this.plot.height) this.plot.setSize({ width, height });
  }
}

function isWhole(value) {
  return value > 0.5 && Math.abs(value - Math.round(value)) < 1e-6;
}

// A little air above and below; what never moved stands in the middle.
function ranged(low, high) {
  if (low === null) return [0, 1];
  const air = (high - low) * 0.08 || Math.abs(high) * 0.001 || 1;
  return [low - air, high + air];
}
