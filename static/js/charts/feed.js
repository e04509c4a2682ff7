// Numbers of a chart from an address: asked for once, and again for what is new when a live part says so. One
// request at a time, none while the page is hidden. A failure keeps what is drawn and says why.

const LEAST_MS = 1000; // between two requests

export class Feed {
  #url;
  #onData;
  #onProblem;
  #busy = false;
  #wanted = false;
  #askedAt = 0;

  // onData(json), onProblem(sentence, json or null): json holds what is recorded, where there is some.
  constructor(url, { onData, onProblem }) {
    this.#url = new URL(url, location.href);
    this.#onData = onData;
    this.#onProblem = onProblem;
  }

  // `more`: parameters of this request alone, such as { since }.
  async ask(more = {}) {
    if (this.#busy || document.hidden) {
      this.#wanted = true;
      return;
    }
    this.#busy = true;
    this.#wanted = false;
    await new Promise((done) => setTimeout(done, Math.max(0, this.#askedAt + LEAST_MS - Date.now())));
    this.#askedAt = Date.now();
    try {
      await this.#fetch(more);
    } finally {
      this.#busy = false;
    }
  }

  get isWaiting() {
    return this.#wanted;
  }

  async #fetch(more) {
    const url = new URL(this.#url);
    for (const [name, value] of Object.entries(more)) url.searchParams.set(name, value);
    let answer;
    try {
      answer = await fetch(url, { headers: { Accept: "application/json" } });
    } catch {
      this.#onProblem("The server can't be reached.", null);
      return;
    }
    const isJson = answer.headers.get("Content-Type")?.startsWith("application/json");
    const json = isJson ? await answer.json() : null;
    if (answer.ok && json) this.#onData(json);
    else this.#onProblem(json?.problem ? sentence(json.problem) : "There is nothing to draw here.", json);
  }
}

// Asks again whenever the part `id` comes with another data-chart-version, and when the page is seen again.
export function askOnChange(id, ask) {
  let version = document.getElementById(id)?.dataset.chartVersion;
  document.addEventListener("live:part", ({ detail, target }) => {
    if (detail.id !== id || target.dataset.chartVersion === version) return;
    version = target.dataset.chartVersion;
    ask();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) ask();
  });
}

// A sentence over the drawing, or in its place; "" takes it away.
export function say(host, text) {
  let note = host.querySelector(":scope > .chart-note");
  if (!text) {
    note?.remove();
    return;
  }
  if (!note) {
    note = document.createElement("p");
    note.className = "chart-note";
    host.append(note);
  }
  note.textContent = text;
}

function sentence(text) {
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}
