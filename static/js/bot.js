// A bot's page: its charts, times that tick, the counts of its tabs, and its buttons once its state has changed.
import { beginCandles } from "./charts/candles.js";
import { beginEquity } from "./charts/equity.js";

const SECOND = 1000;

// The time to the next decision, and how long one has been under way, as text; the bar beside it.
function tick() {
  const now = Date.now();
  for (const element of document.querySelectorAll("time[data-countdown]")) {
    const left = new Date(element.dateTime).getTime() - now;
    write(element, left > 0 ? clock(left) : "now");
    const word = element.parentElement.querySelector("[data-in]");
    if (word) write(word, left > 0 ? "in" : "");
  }
  for (const element of document.querySelectorAll("time[data-since]")) {
    write(element, `${Math.max(0, Math.floor((now - new Date(element.dateTime).getTime()) / SECOND))} s`);
  }
  for (const meter of document.querySelectorAll(".meter[data-until]")) {
    const [from, until] = [meter.dataset.from, meter.dataset.until].map((at) => new Date(at).getTime());
    const share = Math.min(1, Math.max(0, (now - from) / (until - from)));
    meter.firstElementChild.setAttribute("width", `${(share * 100).toFixed(1)}%`);
    meter.setAttribute("aria-valuenow", String(Math.round(share * 100)));
  }
}

function clock(milliseconds) {
  const seconds = Math.ceil(milliseconds / SECOND);
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60), seconds % 60];
  const two = (number) => String(number).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// The tabs stand outside the parts that move: their counts come with the state.
function count(state) {
  for (const element of document.querySelectorAll(".tabs [data-count]")) {
    const number = Number(state.dataset[element.dataset.count]);
    if (!Number.isNaN(number)) write(element, number ? number.toLocaleString("en") : "");
  }
}

// So do the buttons; they hold the reader's own token, so the page asks for them anew. Never by loading it
// again: that would take the answer to a form that was just sent.
let known = document.getElementById("bot-state")?.dataset.state;
async function renew(state) {
  if (state.dataset.state === known) return;
  const wanted = (known = state.dataset.state);
  const answer = await fetch("controls/", { headers: { Accept: "text/html" }, cache: "no-store" });
  if (!answer.ok || answer.redirected) return;
  const parts = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (known !== wanted) return; // the state has changed again: its own buttons are on their way
  for (const fresh of [...parts.body.children]) {
    const old = document.getElementById(fresh.id);
    if (!old || old.contains(document.activeElement)) continue;
    old.replaceWith(document.adoptNode(fresh));
    window.htmx?.process(fresh);
  }
}

document.addEventListener("live:part", ({ detail, target }) => {
  tick();
  if (detail.id !== "bot-state") return;
  count(target);
  renew(target).catch(() => {}); // the buttons stay; the server says what can't be done
});
beginCandles();
beginEquity();
tick();
setInterval(tick, SECOND);
