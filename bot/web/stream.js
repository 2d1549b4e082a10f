// Keeps one person's messages coming: live events, reconnection with back-off, catch-up from the last seq.
// A page that stays in the background asks now and then instead, because a browser allows only six
// connections to one server and three phones in each of two tabs would use them all up.

const RETRY_MS = [300, 700, 1500, 3000, 6000, 10_000, 15_000];
const POLL_MS = 5000;
const BACKGROUND_AFTER_MS = 30_000;
const SUSPECT_AFTER_MS = 5000;

export class Stream {
  // handlers: cursor() → seq, onMessage(message), onTyping(on), onState('open' | 'down'), onRefused() → go on?
  constructor(api, handlers) {
    Object.assign(this, { api, handlers, failures: 0, stopped: false, background: false });
    this.listeners = [
      [document, 'visibilitychange', () => this.visibility()],
      [window, 'online', () => this.restart()],
      [window, 'pageshow', (event) => { if (event.persisted) this.restart(); }],
    ];
  }

  start() {
    for (const [target, type, fn] of this.listeners) target.addEventListener(type, fn);
    this.visibility();
    this.run();
  }

  stop() {
    this.stopped = true;
    for (const [target, type, fn] of this.listeners) target.removeEventListener(type, fn);
    clearTimeout(this.hideTimer);
    this.restart();
  }

  visibility() {
    clearTimeout(this.hideTimer);
    if (document.hidden) this.hide();
    else this.unhide();
  }

  hide() {
    this.hiddenAt = Date.now();
    this.hideTimer = setTimeout(() => { this.background = true; this.restart(); }, BACKGROUND_AFTER_MS);
  }

  // A phone that slept may hold a connection that died without a word: make a new one.
  unhide() {
    const away = this.hiddenAt ? Date.now() - this.hiddenAt : 0;
    this.hiddenAt = 0;
    if (this.background || away > SUSPECT_AFTER_MS) {
      this.background = false;
      this.restart();
    } else this.hurry();
  }

  // End the current connection and the current pause; the loop goes on.
  restart() {
    this.switching = true;
    if (this.abort) this.abort.abort();
    this.hurry();
  }

  // End only a pause: the network seems to be back.
  hurry() {
    if (this.wake) this.wake();
  }

  async run() {
    while (!this.stopped) {
      this.switching = false;
      this.abort = new AbortController();
      try {
        await (this.background ? this.poll() : this.listen());
      } catch (error) {
        if (error.status === 401 && !this.stopped && !(await this.mayGoOn())) return;
      }
      if (this.stopped) return;
      if (!this.switching) await this.rest();
    }
  }

  async mayGoOn() {
    return this.handlers.onRefused().catch(() => true);
  }

  async rest() {
    if (this.background && this.failures === 0) return this.pause(POLL_MS);
    this.handlers.onState('down');
    const wait = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)];
    this.failures += 1;
    return this.pause(wait * (0.8 + Math.random() * 0.4));
  }

  pause(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.wake = () => { clearTimeout(timer); resolve(); };
    });
  }

  healthy() {
    this.failures = 0;
    this.handlers.onState('open');
  }

  listen() {
    return this.api.events(this.handlers.cursor(), {
      signal: this.abort.signal,
      onOpen: () => this.healthy(),
      onEvent: (event) => this.dispatch(event),
    });
  }

  async poll() {
    try {
      await this.catchUp();
      this.healthy();
    } catch (error) {
      this.failures = Math.max(this.failures, 1);
      throw error;
    }
  }

  async catchUp() {
    for (;;) {
      const { messages } = await this.api.messages(this.handlers.cursor(), this.abort.signal);
      messages.forEach((message) => this.handlers.onMessage(message));
      if (messages.length < 100) return;
    }
  }

  dispatch({ event, data }) {
    let value;
    try { value = JSON.parse(data); } catch { return; }
    if (event === 'message') this.handlers.onMessage(value);
    else if (event === 'typing') this.handlers.onTyping(Boolean(value.on));
  }
}
