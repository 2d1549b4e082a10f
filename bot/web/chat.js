// One person's chat: header, log, composer, and the wiring between them and the server.

import { DESK_LANG, T } from './texts.js';
import { button, h, icon, toast } from './dom.js';
import { Api } from './api.js';
import { Composer } from './composer.js';
import { MessageLog } from './log.js';
import { Outbox } from './outbox.js';
import { Stream } from './stream.js';

const BANNER_AFTER_MS = 900;
const TYPING_MAX_MS = 20_000;

export class Chat {
  // options: session, config, headerStart (element), headerEnd (element), onDesk(), onExpired()
  constructor(options) {
    Object.assign(this, options, { me: options.session.me, cursor: 0, stopped: false });
    this.api = new Api(this.session);
    this.el = h('section', { class: 'chat' });
    this.log = new MessageLog(this.me, {
      fileUrl: (path) => this.api.fileUrl(path),
      onPress: (one, seq) => this.say({ kind: 'text', text: one.label, button: one.code, answers: seq }),
      onRetry: (id) => this.outbox.retry(id),
      onDiscard: (id) => { this.outbox.drop(id); this.log.discard(id); },
    });
    this.composer = new Composer({ me: this.me, host: this.el, maxPhotoMb: this.config.max_photo_mb || 10, onSend: (item) => this.say(item) });
    this.outbox = new Outbox(this.api, this.me.id, this.outboxHandlers());
    this.stream = new Stream(this.api, this.streamHandlers());
    this.el.append(this.header(), this.banner(), this.log.el, this.composer.el);
    this.el.setAttribute('aria-label', T.phoneLabel(this.me.name));
  }

  header() {
    const helper = T.helper[this.me.role] || '';
    const peer = [this.config.community, helper || T.appName].filter(Boolean).join('·');
    this.title = h('h1', { class: 'peer', lang: DESK_LANG, text: peer });
    this.subtitle = h('p', { class: 'whoami', lang: DESK_LANG, testid: 'whoami', text: this.whoami() });
    return h('header', { class: 'bar' }, h('div', { class: 'bar-side' }, this.headerStart),
      h('div', { class: 'bar-middle' }, this.title, this.subtitle), h('div', { class: 'bar-side bar-end' }, this.headerEnd));
  }

  whoami() {
    return [this.me.name, this.me.title, this.me.subtitle].filter(Boolean).join(' · ');
  }

  banner() {
    this.offline = h('div', { class: 'offline', role: 'status', testid: 'offline', hidden: true }, T.offline);
    return this.offline;
  }

  // --- life --------------------------------------------------------------------------------------

  async start() {
    this.outbox.items.forEach((item) => this.log.addOwn(item, Boolean(item.button)));
    await this.loadHistory();
    if (this.stopped) return;
    this.log.ready();
    this.stream.start();
    this.outbox.flush();
  }

  // Tries until it works: without the history there is nothing to continue from.
  async loadHistory() {
    for (let wait = 500; !this.stopped; wait = Math.min(wait * 2, 8000)) {
      try {
        return await this.readHistory();
      } catch (error) {
        if (error.status === 401 && !(await this.refused().catch(() => true))) return undefined;
        this.connection('down');
        await new Promise((resolve) => { setTimeout(resolve, wait); });
      }
    }
    return undefined;
  }

  async readHistory() {
    const { messages } = await this.api.messages(0);
    messages.forEach((message) => this.receive(message, false));
    this.connection('open');
  }

  stop() {
    this.stopped = true;
    this.stream.stop();
    this.outbox.stop();
    this.log.destroy();
    [this.bannerTimer, this.typingTimer].forEach((timer) => clearTimeout(timer));
  }

  // The server no longer knows the token. → may the caller go on?
  async refused() {
    if (this.stopped) return false;
    if (await this.session.renew()) {
      this.resync();
      return true;
    }
    if (!this.stopped) this.onExpired();
    return false;
  }

  // --- out ---------------------------------------------------------------------------------------

  say(item) {
    const full = this.outbox.add(item);
    this.log.addOwn(full, Boolean(full.button));
  }

  outboxHandlers() {
    return {
      onState: (item) => this.log.setState(item.id, item.state),
      onAccepted: (item, seq) => this.log.accepted(item.id, seq),
      onRejected: (item, error) => this.rejected(item, error),
      onRefused: () => this.refused(),
    };
  }

  rejected(item, error) {
    toast(error.message);
    if (!item.button) return;
    this.outbox.drop(item.id);
    this.log.discard(item.id);
    this.log.unsettle(item.answers);
  }

  // --- in ----------------------------------------------------------------------------------------

  streamHandlers() {
    return {
      cursor: () => this.cursor,
      onMessage: (message) => this.receive(message, true),
      onTyping: (on) => this.typing(on),
      onState: (state) => this.connection(state),
      onRefused: () => this.refused(),
    };
  }

  // The cursor follows what was read, never what was posted: an answer may lie before my own last seq.
  receive(message, live) {
    this.cursor = Math.max(this.cursor, message.seq);
    if (message.from === 'me') this.outbox.drop(message.id);
    if (!this.log.receive(message) || message.from === 'me') return;
    this.typing(false);
    if (!live) return;
    this.log.arrived();
    this.onDesk();
  }

  // After a break: what came meanwhile; and if the server's memory is younger than ours (a demo begun
  // anew), everything from the start.
  async resync() {
    try {
      const { messages, last } = await this.api.messages(this.cursor);
      if (this.stopped) return;
      if (last < this.cursor) await this.startOver();
      else messages.forEach((message) => this.receive(message, true));
    } catch { /* the stream goes on trying */ }
  }

  async startOver() {
    this.cursor = 0;
    this.log.reset();
    await this.readHistory();
    this.stream.restart();
  }

  typing(on) {
    clearTimeout(this.typingTimer);
    if (on) this.typingTimer = setTimeout(() => this.typing(false), TYPING_MAX_MS);
    this.log.typing(on);
    this.subtitle.textContent = on ? T.typing : this.whoami();
  }

  // A reconnection that takes no time is not worth a banner.
  connection(state) {
    if (state === this.state) return;
    this.state = state;
    clearTimeout(this.bannerTimer);
    if (state === 'open') {
      this.offline.hidden = true;
      this.outbox.resume();
      if (this.cursor) this.resync();
    } else {
      this.typing(false);
      this.bannerTimer = setTimeout(() => { this.offline.hidden = false; }, BANNER_AFTER_MS);
    }
  }
}

export function backButton(onClick) {
  return button(icon('back'), onClick, { class: 'icon-button', 'aria-label': T.back, testid: 'back' });
}
