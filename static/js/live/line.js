// The line to the server: one socket for all topics of a page, opened again with growing pauses, and plain requests while it is down.
// It knows how old what the page shows is, and says so; it touches no element. The trap: a socket that is open
// and silent. Each beat says that the page is what there is; two without one, and nothing is taken for new.

const BEAT = 15_000;
const SILENT = 2 * BEAT + 2_000;
const DOWN = 5_000; // so long a closed socket may be on its way back before requests begin
const ASK = 15_000;
const PATIENCE = 10_000; // of a handshake, and of a request
const LONGEST_PAUSE = 15_000;
const SIGNED_OUT = 4401;
const GONE = 4404;
const TOO_MANY = 4429;
const TOO_MANY_PAUSE = 60_000;

export class Line {
  #topics;
  #tell;
  #ticking;
  #socket = null;
  #heardAt = Date.now(); // the page as it was loaded
  #lineHeardAt = 0; // by the socket
  #downSince = Date.now();
  #messages = 0;
  #tries = 0;
  #retryAt = 0;
  #openedAt = 0;
  #askedAt = 0;
  #isAsking = false;

  constructor(topics, tell) {
    this.#topics = topics;
    this.#tell = tell;
  }

  open() {
    this.#connect();
    this.#ticking = setInterval(() => this.#tick(), 1000);
  }

  // Something woke the page: look at once whether the line still is what it was. A try that is under way and
  // fails is soon followed by another.
  hurry() {
    this.#retryAt = this.#tries = 0;
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send("ping");
    this.#tick();
  }

  #tick() {
    if (this.#ticking === null) return; // it is over
    const now = Date.now();
    const socket = this.#socket;
    const silentFor = now - Math.max(this.#lineHeardAt, this.#openedAt);
    if (socket?.readyState === WebSocket.OPEN && silentFor > SILENT) this.#drop();
    else if (socket?.readyState === WebSocket.CONNECTING && silentFor > PATIENCE) this.#drop();
    if (!this.#socket && now >= this.#retryAt) this.#connect();
    const isDown = this.#lineHeardAt === 0 || !this.#isOpen();
    if (isDown && now - this.#downSince > DOWN && now - this.#askedAt > ASK) this.#ask();
    this.#say(now, isDown);
  }

  #isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN && this.#downSince === null;
  }

  #say(now, isDown) {
    const age = now - this.#heardAt;
    if (age > SILENT) this.#tell.onState({ name: "lost", age, since: new Date(this.#heardAt) });
    else if (!isDown) this.#tell.onState({ name: "open", since: new Date(this.#heardAt) });
    else if (now - this.#downSince > DOWN) this.#tell.onState({ name: "asking", every: ASK / 1000 });
  }

  #connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const asked = this.#topics.map((topic) => `topic=${encodeURIComponent(topic)}`).join("&");
    const socket = new WebSocket(`${scheme}//${location.host}/ws/live/?${asked}`);
    this.#socket = socket;
    this.#openedAt = Date.now();
    socket.onmessage = ({ data }) => socket === this.#socket && this.#hear(JSON.parse(data));
    socket.onclose = ({ code }) => socket === this.#socket && this.#closed(code);
  }

  #hear(message) {
    this.#messages += 1;
    this.#tries = 0;
    this.#downSince = null;
    this.#heardAt = this.#lineHeardAt = Date.now();
    if (message.type === "parts") this.#tell.onParts(Object.values(message.parts).join(""));
    this.#tell.onMessage();
    this.#say(this.#heardAt, false);
  }

  #closed(code) {
    this.#socket = null;
    this.#downSince ??= Date.now();
    if (code === SIGNED_OUT || code === GONE) {
      this.#end();
      return;
    }
    const pause = Math.min(LONGEST_PAUSE, 500 * 2 ** this.#tries) * (0.7 + 0.6 * Math.random());
    this.#tries += 1;
    this.#retryAt = Date.now() + (code === TOO_MANY ? TOO_MANY_PAUSE : pause);
    setTimeout(() => this.#tick(), pause);
  }

  #drop() {
    const socket = this.#socket;
    socket.onmessage = socket.onclose = null;
    socket.close();
    this.#closed(1006);
  }

  #end() {
    clearInterval(this.#ticking);
    this.#ticking = null;
    this.#tell.onGone();
  }

  // Ask for all parts. An answer that a message of the socket has overtaken is old: it is not shown.
  async #ask() {
    if (this.#isAsking) return;
    this.#isAsking = true;
    this.#askedAt = Date.now();
    const before = this.#messages;
    try {
      const answers = await Promise.all(this.#topics.map((topic) => fetch(pathOf(topic), {
        signal: AbortSignal.timeout(PATIENCE), cache: "no-store",
      })));
      if (answers.some(({ status }) => status === 404) && this.#messages > 0) this.#end();
      if (answers.some((answer) => !answer.ok || answer.redirected)) return;
      const html = (await Promise.all(answers.map((answer) => answer.text()))).join("");
      if (this.#messages !== before) return;
      this.#heardAt = Date.now();
      this.#tell.onParts(html);
      this.#tell.onMessage();
      this.#say(this.#heardAt, true);
    } catch {
      // no connection: the age of what is shown says it
    } finally {
      this.#isAsking = false;
    }
  }
}

function pathOf(topic) {
  const [kind, ...key] = topic.split(":");
  return `/${["live", kind, key.join(":")].filter(Boolean).map(encodeURIComponent).join("/")}/`;
}
