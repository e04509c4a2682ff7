// Candles with the bot's fills and the levels of what it holds. Drawn by lightweight-charts; hollow candles rise,
// filled ones fall, so the shape says it without the colour. A level off the scale is named at the edge with an
// arrow, never squeezed in.
import {
  CandlestickSeries, ColorType, CrosshairMode, HistogramSeries, LineStyle, createChart, createSeriesMarkers,
} from "../../vendor/lightweight-charts-5.2.1/lightweight-charts.standalone.production.mjs";
import { instantText, zoneOf } from "../times.js";
import { Feed, askOnChange, say } from "./feed.js";
import { coloursOf, onThemeChange, withAlpha } from "./theme.js";

const NARROW = matchMedia("(max-width: 40rem)");
const MOST_ON_A_PHONE = 60;
const SHOWN_AT_FIRST = 120;
const KEPT = 1000; // candles of a page that stays open for days
const NAMED_FILLS = 4;
const APART = 14; // candles between two names, so that they don't cover each other
const REACH = 0.6; // levels this many heights of the candles away still widen the scale

class Candles {
  constructor(host, ohlc, list) {
    this.host = host;
    this.ohlc = ohlc;
    this.list = list;
    this.zone = zoneOf(document);
    this.rows = new Map(); // opened (s) → row
    this.fills = new Map();
    this.levels = [];
    this.lines = [];
    this.decimals = 2;
    const count = NARROW.matches ? { count: MOST_ON_A_PHONE } : {};
    this.feed = new Feed(host.dataset.src, {
      onData: (told) => this.take(told, ""),
      onProblem: (problem, told) => this.take(told, problem),
    });
    this.ask = () => this.feed.ask({ ...count, ...this.since() });
  }

  begin() {
    onThemeChange(() => this.paint());
    say(this.host, "Looking at the market…");
    askOnChange("bot-stats", this.ask);
    this.ask();
  }

  // The last two candles may still change; what is older does not.
  since() {
    const opened = [...this.rows.keys()];
    return opened.length > 2 ? { since: opened.at(-2) * 1000 } : {};
  }

  take(told, problem) {
    if (told) {
      this.decimals = told.decimals ?? this.decimals;
      for (const [opened, ...row] of told.candles ?? []) this.rows.set(opened / 1000, row);
      for (const opened of [...this.rows.keys()].sort((one, other) => one - other).slice(0, -KEPT)) this.rows.delete(opened);
      for (const fill of told.fills ?? []) this.fills.set(fill.id, fill);
      this.levels = told.levels ?? this.levels;
      this.isOpen = told.open;
    }
    if (!this.rows.size) {
      say(this.host, problem || "The venue shows no candle of it yet.");
      return;
    }
    if (!this.chart) this.make();
    say(this.host, problem && `${problem} The candles end where they were last seen.`);
    this.show();
    if (this.feed.isWaiting) this.ask();
  }

  make() {
    say(this.host, "");
    this.chart = createChart(this.host, {
      autoSize: true,
      layout: { attributionLogo: false, fontSize: 11, background: { type: ColorType.Solid, color: "transparent" } },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.08, bottom: 0.18 } },
      timeScale: {
        borderVisible: false, timeVisible: true, secondsVisible: false, rightOffset: 5, minBarSpacing: 1.5,
        tickMarkFormatter: (at, kind) => this.tick(at, kind),
      },
      crosshair: { mode: CrosshairMode.Normal },
      localization: {
        timeFormatter: (at) => instantText(new Date(at * 1000), "short", this.zone),
        priceFormatter: (price) => this.price(price),
      },
      handleScroll: { mouseWheel: false, vertTouchDrag: false },
      handleScale: { mouseWheel: false },
    });
    this.volume = this.chart.addSeries(HistogramSeries, {
      priceScaleId: "volume", priceLineVisible: false, lastValueVisible: false,
    });
    this.chart.priceScale("volume").applyOptions({ scaleMargins: { top: 0.88, bottom: 0 }, visible: false });
    this.series = this.chart.addSeries(CandlestickSeries, {
      autoscaleInfoProvider: (usual) => this.scaled(usual()),
    });
    this.markers = createSeriesMarkers(this.series, []);
    this.chart.subscribeCrosshairMove(({ time }) => this.read(time));
    this.paint();
    const last = this.rows.size;
    const shown = NARROW.matches ? MOST_ON_A_PHONE : SHOWN_AT_FIRST;
    this.show();
    this.chart.timeScale().setVisibleLogicalRange({ from: Math.max(-1, last - shown), to: last + 4 });
    this.chart.timeScale().subscribeVisibleLogicalRangeChange(() => this.nameSoon());
  }

  paint() {
    if (!this.chart) return;
    const c = (this.colours = coloursOf(this.host));
    this.chart.applyOptions({
      layout: { textColor: c.label, fontFamily: c.font },
      grid: { vertLines: { color: c.line }, horzLines: { color: c.line } },
      crosshair: {
        vertLine: { color: c.label, labelBackgroundColor: c.strong },
        horzLine: { color: c.label, labelBackgroundColor: c.strong },
      },
    });
    this.series.applyOptions({
      upColor: c.surface, borderUpColor: c.up, wickUpColor: c.up,
      downColor: c.down, borderDownColor: c.down, wickDownColor: c.down,
      priceLineColor: c.accent, priceLineStyle: LineStyle.Dotted,
    });
    this.show();
  }

  show() {
    if (!this.colours) return;
    const c = this.colours;
    const rows = [...this.rows].sort(([one], [other]) => one - other);
    this.series.applyOptions({
      priceFormat: { type: "price", precision: this.decimals, minMove: 10 ** -this.decimals },
    });
    this.series.setData(rows.map(([time, [open, high, low, close]]) => ({ time, open, high, low, close })));
    this.volume.setData(rows.map(([time, [open, , , close, value]]) => ({
      time, value, color: withAlpha(close >= open ? c.up : c.down, 0.35),
    })));
    this.mark(rows);
    this.draw();
    this.read();
    this.tell(rows);
  }

  mark(rows) {
    const c = this.colours;
    const opened = rows.map(([time]) => time);
    const fills = [...this.fills.values()].sort((one, other) => one.at - other.at);
    const places = fills.map((fill) => opened.findLastIndex((at) => at * 1000 <= fill.at));
    const named = NARROW.matches ? new Set() : apart(places, opened.length);
    this.markers.setMarkers(fills.flatMap((fill, index) => {
      if (places[index] < 0) return [];
      const isBuy = fill.side === "buy";
      return [{
        time: opened[places[index]], id: String(fill.id),
        position: isBuy ? "belowBar" : "aboveBar",
        shape: isBuy ? "arrowUp" : "arrowDown",
        color: isBuy ? c.up : c.down,
        text: named.has(index) ? fill.text : "",
      }];
    }));
  }

  draw() {
    const c = this.colours;
    const looks = {
      entry: { color: c.text, lineStyle: LineStyle.Solid, lineWidth: 1 },
      stop: { color: c.down, lineStyle: LineStyle.Dashed, lineWidth: 1 },
      target: { color: c.up, lineStyle: LineStyle.Dashed, lineWidth: 1 },
      liq: { color: c.danger, lineStyle: LineStyle.Solid, lineWidth: 2 },
    };
    for (const line of this.lines) this.series.removePriceLine(line);
    this.lines = this.levels.map(({ kind, price }) => this.series.createPriceLine({
      price, axisLabelVisible: true, title: "", ...looks[kind],
    }));
    this.nameSoon();
  }

  // Where a level stands is known once the scale has been drawn.
  nameSoon() {
    cancelAnimationFrame(this.naming);
    this.naming = requestAnimationFrame(() => requestAnimationFrame(() => this.name()));
  }

  // What is held, in words under the drawing; an arrow where a level is off the scale.
  name() {
    const { height } = this.chart.paneSize();
    this.list.replaceChildren(...this.levels.map(({ kind, price, text }) => {
      const y = this.series.priceToCoordinate(price);
      const item = document.createElement("li");
      item.className = `level ${kind}`;
      item.textContent = y === null || (y >= 0 && y <= height) ? text : `${text} ${y < 0 ? "↑" : "↓"}`;
      return item;
    }));
  }

  // Entry, stop and target are shown when they are near; what is far must not flatten the candles.
  scaled(info) {
    if (!info?.priceRange) return info;
    let { minValue: low, maxValue: high } = info.priceRange;
    const reach = (high - low) * REACH;
    for (const { kind, price } of this.levels) {
      if (kind !== "liq" && price > low - reach && price < high + reach) {
        [low, high] = [Math.min(low, price), Math.max(high, price)];
      }
    }
    return { ...info, priceRange: { minValue: low, maxValue: high } };
  }

  read(time) {
    const row = this.rows.get(time) ?? this.rows.get(Math.max(...this.rows.keys()));
    if (!row || !this.ohlc) return;
    const names = ["O", "H", "L", "C"];
    this.ohlc.replaceChildren(...names.flatMap((name, index) => {
      const label = document.createElement("span");
      label.className = "t3";
      label.textContent = name;
      return [label, ` ${this.price(row[index])} `];
    }));
  }

  tell(rows) {
    const [, last] = rows.at(-1);
    const many = `${rows.length} candles`;
    this.host.ariaLabel = `${this.host.dataset.symbol}: ${many}, the last price is ${this.price(last[3])}`;
  }

  tick(at, kind) {
    const day = kind <= 2; // year, month, day; else a time
    return instantText(new Date(at * 1000), kind === 0 ? "date" : day ? "day" : "time", this.zone);
  }

  price(value) {
    return value.toLocaleString("en", {
      minimumFractionDigits: this.decimals, maximumFractionDigits: this.decimals,
    });
  }
}

// The latest fills that have room for a name: apart from each other, and from the edge.
function apart(places, end) {
  const named = new Set();
  let last = end + APART / 2;
  for (let index = places.length - 1; index >= 0 && named.size < NAMED_FILLS; index -= 1) {
    if (places[index] >= 0 && last - places[index] >= APART) {
      named.add(index);
      last = places[index];
    }
  }
  return named;
}

export function beginCandles(root = document) {
  const host = root.getElementById("candle-chart");
  if (host) new Candles(host, root.getElementById("ohlc"), root.getElementById("levels")).begin();
}
