// Says how the line to the server is: the dot at the top blinks once for each message; what is old is marked,
// with its age. The time beside the word is not read out: it ticks.
import { instantText, zoneOf } from "../times.js";

const WORDS = { open: "Connected", asking: "Reconnecting", lost: "No connection" };
const DOTS = { open: "dot", asking: "dot warn", lost: "dot bad" };
const CLASSES = { open: "", asking: "polling", lost: "lost" };

export class Sign {
  #conn;
  #page;
  #note = null;
  #shown = "";

  constructor(conn, page) {
    this.#conn = conn;
    this.#page = page;
  }

  show({ name, since, age, every }) {
    this.#markAge(name === "lost" ? age : null);
    if (!this.#conn) return;
    if (name !== this.#shown) {
      this.#shown = name;
      this.#conn.classList.remove("polling", "lost");
      if (CLASSES[name]) this.#conn.classList.add(CLASSES[name]);
      this.#conn.querySelector(".dot").className = DOTS[name];
      const detail = document.createElement("span");
      detail.className = "wide";
      detail.ariaHidden = "true";
      this.#conn.querySelector(".word").replaceChildren(WORDS[name], detail);
    }
    const detail = this.#conn.querySelector(".word > .wide");
    const text = {
      open: () => ` · ${clock(since)}`,
      asking: () => `, asking every ${every} s`,
      lost: () => ` since ${clock(since)}`,
    }[name]();
    if (detail.textContent !== text) detail.textContent = text;
  }

  blink() {
    if (!this.#conn || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    this.#conn.classList.remove("beat");
    void this.#conn.getBoundingClientRect();
    this.#conn.classList.add("beat");
  }

  #markAge(age) {
    const isOld = age !== null;
    if (this.#page.classList.contains("stale") !== isOld) this.#page.classList.toggle("stale", isOld);
    if (!isOld) {
      this.#note?.remove();
      this.#note = null;
      return;
    }
    if (!this.#note) {
      this.#note = document.createElement("p");
      this.#note.className = "stale-note";
      this.#page.prepend(this.#note);
    }
    this.#note.textContent = `What you see is ${ageText(age)} old.`;
  }
}

function clock(at) {
  return instantText(at, "seconds", zoneOf(document));
}

function ageText(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
